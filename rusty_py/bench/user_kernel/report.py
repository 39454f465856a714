"""The report of `rusty-bench run`: a pure function of a `KernelRun`."""

import csv
import io
from collections.abc import Iterator

from pydantic import RootModel
from tabulate import tabulate

from rusty_py.bench.report.rows import figure, spread
from rusty_py.bench.user_kernel.job import KernelRow, KernelRun
from rusty_py.measure.stats import ratio_interval

_LEFT = {"kernel", "note"}


def render(run: KernelRun, format: str) -> str:
    """The report as "table", "md", "csv" or "json"."""
    if format == "json":
        return RootModel[KernelRun](run).model_dump_json(indent=2)
    if format == "csv":
        return _csv(run)
    head, rows = _header(run), [_row(row, run) for row in run.rows]
    align = ["left" if name in _LEFT else "right" for name in head]
    style = "github" if format == "md" else "simple"
    table = tabulate(rows, head, tablefmt=style, disable_numparse=True, colalign=align)
    bullet = "- " * (format == "md")
    parts = ([table], *([f"{bullet}{line}" for line in lines] for lines in (findings(run), legend(run))))
    return "\n\n".join("\n".join(part) for part in parts if part)


def findings(run: KernelRun) -> list[str]:
    """What is wrong, and how the kernel compares with ours."""
    lines = [f"WRONG: {row.reason}" for row in run.rows if row.verdict == "wrong"]
    if len(run.rows) == 2 and all(row.stats for row in run.rows):
        user, ours = run.rows
        ratio, low, high = ratio_interval(user.samples_ns, ours.samples_ns)
        lines.append(
            f"{user.kernel} takes {ratio:.2f} times as long as rusty_py (95 %: {low:.2f} to {high:.2f})"
        )
    if run.unverified:
        lines.append(f"not verified, for lack of a reference: {', '.join(run.unverified)}")
    return lines


def legend(run: KernelRun) -> list[str]:
    """The legend of the columns."""
    lines = []
    if any(row.stats for row in run.rows):
        clock = "the GPU's timestamps" if run.clock == "gpu" else "the wall clock over batched runs"
        lines += [
            f"ms: median by {clock} ({run.clock_reason}), kernel only, data on the device;"
            " ±: median absolute deviation.",
            f"GB/s: {run.nbytes:,} bytes: every buffer once, those that are read and written twice.",
        ]
        if run.flops:
            lines.append(f"GFLOPS: {run.flops:,} floating-point operations of the reference.")
        lines.append("error: maximum error as a fraction of its bound.")
    timed = " before and after timing" if lines else ""
    return [*lines, f"verified{timed}: {run.method}."]


def _header(run: KernelRun) -> list[str]:
    clock = "GPU" if run.clock == "gpu" else "wall"
    return ["kernel", f"ms ({clock})", "± %", "GB/s", *["GFLOPS"] * bool(run.flops), "error", "note"]


def _row(row: KernelRow, run: KernelRun) -> list[str]:
    if row.stats is None:
        return [row.kernel, row.verdict.upper(), *[""] * (len(_header(run)) - 2)]
    ns = row.stats.median
    return [
        row.kernel,
        f"{ns / 1e6:,.3f}",
        spread(row.stats),
        figure(run.nbytes / ns),
        *[figure(run.flops / ns)] * bool(run.flops),
        "" if row.error is None else f"{row.error:.2g}",
        row.what if row.kernel == "rusty_py" else "",
    ]


def _csv(run: KernelRun) -> str:
    """One line per kernel, plain numbers in the units of the column names, empty if missing."""
    text = io.StringIO()
    lines = csv.DictWriter(text, list(next(_records(run))), lineterminator="\n")
    lines.writeheader()
    lines.writerows(_records(run))
    return text.getvalue().rstrip("\n")


def _records(run: KernelRun) -> Iterator[dict[str, object]]:
    for row in run.rows:
        stats = row.stats
        yield {
            "kernel": row.kernel,
            "verdict": row.verdict,
            "clock": run.clock,
            "median_ms": stats.median / 1e6 if stats else None,
            "mad_ms": stats.mad / 1e6 if stats else None,
            "min_ms": stats.min / 1e6 if stats else None,
            "samples": stats.n if stats else None,
            "gb_per_s": run.nbytes / stats.median if stats else None,
            "gflops": run.flops / stats.median if stats and run.flops else None,
            "error": row.error,
            "reason": row.reason,
        }
