"""The page "Which convolution algorithm wins where", from a comparison of convolutions with PyTorch's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tabulate import tabulate

from benchmarks.beside_torch.conv_tables import TORCH, ahead, algorithms_of, milliseconds

Document = Mapping[str, Any]


def page(document: str, source: str) -> str:
    """The page. `source` is the path of the result file below benchmarks/."""
    made = json.loads(document)
    rows, context = made["layers"], made["context"]
    rows = [row for row in rows if _ranking(row)]
    parts = [
        "# Which convolution algorithm wins where",
        f"Written by `python -m benchmarks.publish` from [{source}](../benchmarks/{source}):"
        f" {context['adapter']}, PyTorch {context['torch']}, {context['date'][:10]}. Other devices differ:"
        " `rusty-bench conv2d --preset layers` measures them. Layers are named as there: width×height"
        " input:output, n batch, k kernel, s stride, g groups.",
        "## Algorithms",
        _algorithms(rows),
        "## Layers",
        "Forward pass in milliseconds, f32. *auto* is what `conv2d` selects, and its time divided by that of"
        " the fastest; */ cuDNN* is the time of cuDNN divided by that of auto.",
        _layers(rows),
        "## Where each wins",
        "\n".join(f"- {line}" for line in _wins(rows)),
        "## Which to use",
        "\n".join(f"- {line}" for line in _advice(rows)),
    ]
    return "\n\n".join(parts) + "\n"


def _ranking(row: Document) -> list[tuple[float, str]]:
    """Times and names of the algorithms, the fastest first."""
    return sorted((ms, by) for by in row["forward"] if by != TORCH and (ms := milliseconds(row, by)))


def _least(row: Document) -> float:
    """The least time of the algorithms that auto may take."""
    return next(ms for ms, by in _ranking(row) if by not in row["on_request"])


def _algorithms(rows: Sequence[Document]) -> str:
    """How many layers each takes, its largest error and workspace."""
    lines = []
    for by in algorithms_of(rows):
        found = [row["forward"][by] for row in rows if by in row["forward"]]
        error = max(each.get("error", 0.0) for each in found)
        workspace = max(each["workspace"] for each in found) / 1e6
        taken = f"{len(found)} of {len(rows)}"
        lines.append([f"`{by}`", taken, f"{workspace:,.0f}", f"{error:.2f}"])
    heads = ["algorithm", "takes", "workspace, MB", "error"]
    note = (
        "[Convolutions](convolution.md#algorithms) describes them. *takes*: of these layers; *workspace*: the"
        " most that a layer needs of the memory pool beyond operands and result; *error*: the largest against"
        " float64, as a fraction of the bound of a sum of products."
    )
    return f"{_table(heads, lines, left=1)}\n\n{note}"


def _layers(rows: Sequence[Document]) -> str:
    lines = []
    for row in rows:
        (best, fastest), *others = _ranking(row)
        second = f"{others[0][1]}, {others[0][0] / best:.2f} times" if others else ""
        auto, torch, ratio = milliseconds(row, row["auto"]), milliseconds(row, TORCH), ahead(row)
        lines.append(
            [
                row["name"],
                fastest,
                f"{best:.4f}",
                second,
                f"{row['auto']}, {auto / best:.2f} times" if auto else row["auto"],
                f"{torch:.4f}" if torch else "",
                f"{ratio:.2f}" if ratio else "",
            ]
        )
    heads = ["layer", "fastest", "ms", "next", "auto", "cuDNN ms", "/ cuDNN"]
    return _table(heads, lines, left=2)


def _wins(rows: Sequence[Document]) -> Iterator[str]:
    """The layers that each algorithm is fastest for."""
    firsts = {by: [row for row in rows if _ranking(row)[0][1] == by] for by in algorithms_of(rows)}
    for by, won in firsts.items():
        ahead_of_next = [ranked[1][0] / ranked[0][0] for row in won if len(ranked := _ranking(row)) > 1]
        if won:
            names = ", ".join(row["name"] for row in won)
            yield f"`{by}`: {names}{_times(ahead_of_next)}."
    never = [f"`{by}`" for by, won in firsts.items() if not won]
    if never:
        yield f"Never the fastest here: {', '.join(never)}."


def _times(ratios: Sequence[float]) -> str:
    if not ratios:
        return ""
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return f"; {low if low == high else f'{low} to {high}'} times as fast as the next"


def _advice(rows: Sequence[Document]) -> Iterator[str]:
    """What follows for users, in figures."""
    slower = [ms / _least(row) for row in rows if (ms := milliseconds(row, row["auto"]))]
    requested = [f"`{by}`" for by in dict.fromkeys(by for row in rows for by in row["on_request"])]
    yield (
        f'`algorithm="auto"`, the default: at most {max(slower):.2f} times the time of the fastest algorithm'
        " that it may take, for these layers. `conv2d.plan` says what it takes, and why."
    )
    if requested:
        yield f"Only on request, because they lose more digits than a sum: {', '.join(requested)}."
    ratios = [(ratio, row["name"]) for row in rows if (ratio := ahead(row))]
    if ratios:
        faster = sum(ratio >= 1 for ratio, _ in ratios)
        behind = "; ".join(f"{name} ({ratio:.2f})" for ratio, name in ratios if ratio < 1)
        slower_for = f", and slower for: {behind}" if behind else ""
        yield (
            f"Compared with cuDNN in float32, auto is as fast or faster for {faster} of {len(ratios)} layers"
            f"{slower_for}. Where CUDA is at hand and TF32 or float16 are accurate enough, its tensor cores"
            " are faster: then the vendor's library is the choice."
        )
    gains = [
        100 * (1 - optimized / basic)
        for row in rows
        if (optimized := milliseconds(row, "optimized")) and (basic := milliseconds(row, "basic"))
    ]
    if gains:
        yield (
            "`basic` and `optimized` are for reading and comparison, and take every parameter: `optimized`"
            f" takes {median(gains):.0f} % less time than `basic` (median of {len(gains)} layers)."
        )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, left: int) -> str:
    align = ["left" if i < left else "right" for i in range(len(heads))]
    return tabulate(lines, heads, tablefmt="github", disable_numparse=True, colalign=align)
