"""Draws docs/matmul.svg, the rates of square f32 products, from a comparison; `--check` only compares.

    python -m benchmarks.chart

The SVG has its own background, dark in dark mode, so it is legible on any page.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.peers.records import Comparison, loads, of
from benchmarks.peers.roster import ROSTER
from benchmarks.peers.table import gflops

HERE = Path(__file__).parent
SOURCE = HERE / "results" / "nvidia-h200" / "peers" / "squares.json"
TARGET = HERE.parent / "docs" / "matmul.svg"

_WIDTH, _HEIGHT = 880, 530
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 612, 80, 396  # The plot, within the picture.
_TICK_GFLOPS = 10_000
_LABEL_PX = 18  # Between the baselines of neighbouring labels, at least.

# Drawn in this order: the last lies on top.
_COLOURS = {
    "tinygrad": ("#8250df", "#a371f7"),
    "tinygrad-beam": ("#8250df", "#a371f7"),
    "ort": ("#bc4c00", "#db6d28"),
    "cublas": ("#57606a", "#8b949e"),
    "rusty_py": ("#0969da", "#58a6ff"),
}
_DASHED = "tinygrad-beam"

_STYLE = """
text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 13px; }
text { fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.muted { fill: #59636e; }
.small { font-size: 12px; }
.label { font-weight: 600; }
.card { fill: #ffffff; stroke: #d1d9e0; }
.grid { stroke: #e6eaef; }
.axis { stroke: #818b98; }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
"""
_DARK_STYLE = """
text { fill: #f0f6fc; }
.muted { fill: #9198a1; }
.card { fill: #0d1117; stroke: #3d444d; }
.grid { stroke: #21262d; }
.axis { stroke: #656c76; }
"""


@dataclass(frozen=True)
class Line:
    """A peer's rates: (n, GFLOPS), by size."""

    peer: str
    points: tuple[tuple[int, float], ...]

    @property
    def label(self) -> str:
        name = ROSTER[self.peer].label.replace(" WEBGPU", "")
        return f"{name}: {self.points[-1][1]:,.0f}"


def lines_of(comparison: Comparison, *, dtype: str = "f32") -> list[Line]:
    """A line for each peer that the chart shows; sizes that a peer lacks are left out."""
    lines = []
    for peer in _COLOURS:
        records = of(comparison.records, peer=peer, dtype=dtype)
        rates = {
            name: gflops(of(records, problem=name)) for name in dict.fromkeys(r.problem for r in records)
        }
        points = sorted((int(name.split("×")[0]), rate) for name, rate in rates.items() if rate)
        if points:
            lines.append(Line(peer, tuple(points)))
    return lines


def svg(comparison: Comparison) -> str:
    """The chart, as text of an SVG file."""
    lines = lines_of(comparison)
    sizes = sorted({n for line in lines for n, _ in line.points})
    highest = max(rate for line in lines for _, rate in line.points)
    scale = Scale(sizes[0], sizes[-1], _TICK_GFLOPS * math.ceil(highest / _TICK_GFLOPS))
    device = comparison.about["rusty_py"]["device"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
        f' height="{_HEIGHT}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(f"Square f32 matrix products on an {device}, GFLOPS by size")}</title>',
        f'<desc id="desc">{escape(_description(lines))}</desc>',
        f"<style>{_STYLE}{_colours(0)}",
        f"@media (prefers-color-scheme: dark) {{{_DARK_STYLE}{_colours(1)}}}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="6"/>',
        _text(24, 34, f"f32 matrix multiplication, n × n × n, {device}", "title"),
        *_axes(scale, sizes),
        *(_drawn(line, scale) for line in lines),
        *_labels(lines, scale),
        *(_text(24, 472 + 18 * i, line, "muted small") for i, line in enumerate(_caption(comparison))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class Scale:
    """From sizes, by their logarithm, and GFLOPS, from 0 to `highest`, to pixels."""

    smallest: int
    largest: int
    highest: float

    def x(self, n: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * math.log2(n / self.smallest) / math.log2(
            self.largest / self.smallest
        )

    def y(self, rate: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * rate / self.highest


def spread(wanted: Sequence[float], *, apart: float) -> list[float]:
    """Heights at least `apart` from each other, in the order of `wanted` and near them."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    clusters: list[list[int]] = []
    for i in order:
        clusters.append([i])
        while len(clusters) > 1 and _top(clusters[-1], wanted, apart) < _bottom(clusters[-2], wanted, apart):
            clusters[-2:] = [clusters[-2] + clusters[-1]]
    placed = list(wanted)
    for cluster in clusters:
        top = _top(cluster, wanted, apart)
        for rank, i in enumerate(cluster):
            placed[i] = top + rank * apart
    return placed


def _top(cluster: Sequence[int], wanted: Sequence[float], apart: float) -> float:
    """Of labels in a row around the mean of where they should be, the height of the first."""
    return sum(wanted[i] for i in cluster) / len(cluster) - apart * (len(cluster) - 1) / 2


def _bottom(cluster: Sequence[int], wanted: Sequence[float], apart: float) -> float:
    """The first height that is free below the cluster."""
    return _top(cluster, wanted, apart) + apart * len(cluster)


def _axes(scale: Scale, sizes: Iterable[int]) -> Iterable[str]:
    for rate in range(0, round(scale.highest) + 1, _TICK_GFLOPS):
        y = scale.y(rate)
        kind = "grid" if rate else "axis"
        yield f'<path class="{kind}" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>'
        yield _text(_LEFT - 10, y + 4.5, f"{rate:,}", "muted", anchor="end")
    for n in sizes:
        yield f'<path class="axis" d="M{scale.x(n):.1f} {_BOTTOM}v5"/>'
        yield _text(scale.x(n), _BOTTOM + 21, str(n), "muted", anchor="middle")
    yield _text(24, _TOP - 18, "GFLOPS (2n³ / time), higher is better", "muted")
    yield _text(
        (_LEFT + _RIGHT) / 2, _BOTTOM + 40, "n, rows and columns (log scale)", "muted", anchor="middle"
    )


def _drawn(line: Line, scale: Scale) -> str:
    at = [(scale.x(n), scale.y(rate)) for n, rate in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    dash = ' stroke-dasharray="6 4"' if line.peer == _DASHED else ""
    dots = "".join(f'<circle class="fill-{line.peer}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in at)
    return f'<g><path class="line stroke-{line.peer}" d="{path}"{dash}/>{dots}</g>'


def _labels(lines: Sequence[Line], scale: Scale) -> Iterable[str]:
    ends = [line.points[-1] for line in lines]
    heights = spread([scale.y(rate) for _, rate in ends], apart=_LABEL_PX)
    for line, (n, _), y in zip(lines, ends, heights, strict=True):
        yield _text(scale.x(n) + 11, y + 4.5, line.label, f"label fill-{line.peer}")


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _colours(theme: int) -> str:
    return "".join(
        f".stroke-{peer} {{ stroke: {each[theme]}; }}\n.fill-{peer} {{ fill: {each[theme]}; }}\n"
        for peer, each in _COLOURS.items()
    )


def _description(lines: Sequence[Line]) -> str:
    return " ".join(
        f"{ROSTER[line.peer].label}: " + ", ".join(f"{rate:,.0f} at n = {n}" for n, rate in line.points) + "."
        for line in lines
    )


def _caption(comparison: Comparison) -> list[str]:
    ours, about = comparison.about["rusty_py"], comparison.about
    date = str(comparison.context["date"])[:10]
    versions = [
        f"cuBLAS by PyTorch {about['cublas']['torch']} (CUDA {about['cublas']['CUDA']}, no TF32)",
        f"onnxruntime-webgpu {about['ort']['onnxruntime-webgpu']}",
        f"tinygrad {about['tinygrad']['tinygrad']} (WEBGPU)",
    ]
    return [
        f"{ours['device']}, {ours['backend']}, driver {ours['driver']}, {date}. Medians of one run;"
        " every result verified against float64.",
        f"{', '.join(versions)}.",
        "Clocks: cuBLAS GPU events, rusty_py GPU timestamps, ONNX Runtime and tinygrad wall clock.",
    ]


def main(*, check: bool) -> int:
    """1 where `check` finds that the chart differs from its file."""
    drawn = svg(loads(SOURCE.read_text(encoding="utf-8")))
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == drawn:
        return 0
    print(f"{TARGET.name}: {'differs from its result file' if check else 'written'}")
    if not check:
        TARGET.write_text(drawn, encoding="utf-8")
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
