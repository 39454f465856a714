"""What fusion saves: launches, bytes, and the time of kernels and of calls; and from which size it pays."""

from rusty_py.bench.report.columns import Column, Table, table_of
from rusty_py.bench.report.numbers import milliseconds, rate
from rusty_py.measure.document import BenchRun, Row

FUSED, UNFUSED, CALL, LAUNCHES, MOVED = "fused", "unfused", "call", "launches", "moved"
"""The names of results and figures, as in bench/fused_suite.py."""

LEGEND = (
    "launches: of the operations one by one, and fused. Saved by fusion: MB, of what the launches read and"
    " write, each buffer once; kernel; call, of eager calls by the wall clock, with one wait at the end;"
    " a launch: what a call saves for each launch less."
)


def table(run: BenchRun) -> Table:
    """A line for each row in which both were measured."""
    columns = [
        Column("saved by fusion", right=False),
        Column("launches", right=False),
        Column("MB"),
        Column("kernel, ms"),
        Column("call, ms"),
        Column("a launch, us"),
    ]
    return table_of(columns, [line for row in run.rows if (line := _line(row))])


def _line(row: Row) -> list[str]:
    fused, unfused = row.result(FUSED), row.result(UNFUSED)
    if not (fused and unfused and fused.ns and unfused.ns):
        return []
    launches = [int(each.figure(LAUNCHES) or 0) for each in (unfused, fused)]
    moved = [(each.figure(MOVED) or 0.0) / 1e6 for each in (unfused, fused)]
    calls = [row.ns(f"{by} {CALL}") for by in (UNFUSED, FUSED)]
    saved_ns = calls[0] - calls[1] if calls[0] and calls[1] else None
    fewer = launches[0] - launches[1]
    return [
        row.problem.name,
        f"{launches[0]} to {launches[1]}",
        f"{rate(moved[0] - moved[1])} ({1 - moved[1] / moved[0]:.0%})" if moved[0] > moved[1] else "0",
        _signed(unfused.ns - fused.ns),
        "" if saved_ns is None else _signed(saved_ns),
        f"{saved_ns / fewer / 1e3:.1f}" if saved_ns is not None and fewer > 0 else "",
    ]


def findings(run: BenchRun) -> list[str]:
    """From which size on the fused kernels, and their calls, are faster."""
    lines = []
    for operation in dict.fromkeys(row.problem.operation for row in run.rows):
        rows = [row for row in run.rows if row.problem.operation == operation]
        rows.sort(key=lambda row: row.problem.nbytes)
        for what, suffix in (("kernel", ""), ("call", f" {CALL}")):
            ratios = [row.ratio(f"{UNFUSED}{suffix}", f"{FUSED}{suffix}") for row in rows]
            if known := [(row, ratio) for row, ratio in zip(rows, ratios, strict=True) if ratio]:
                lines.append(f"{operation}: the fused {what} {_pays(known)}")
    return lines


def _pays(known: list[tuple[Row, float]]) -> str:
    """From the size on which is the first of those at which all larger ones are faster, too."""
    first = len(known)
    while first and known[first - 1][1] > 1:
        first -= 1
    if first == len(known):
        return "is not faster at the largest size"
    factor = f"up to {max(ratio for _, ratio in known[first:]):.3g} times as fast"
    where = "at every size" if first == 0 else f"from {known[first][0].problem.name} on"
    return f"pays {where}, {factor}"


def _signed(ns: float) -> str:
    return milliseconds(ns) if ns >= 0 else f"-{milliseconds(-ns)}"
