"""Figures that follow from times and costs: rates, shares of the ceiling, ratios to a reference."""

from dataclasses import replace

from rusty_py.measure.document import BenchRun, Figure, Result, Row

GFLOPS, GBPS, ROOFLINE, SPEEDUP = "GFLOPS", "GB/s", "roofline", "speedup"

_SELECTED = ("auto", "rusty_py")
"""What a call of ours runs, among the kernels of a row."""


def with_figures(run: BenchRun) -> BenchRun:
    """The run with the figures of every measured result."""
    run.rows = [
        replace(row, results=tuple(_with_figures(result, row) for result in row.results)) for row in run.rows
    ]
    return run


def _with_figures(result: Result, row: Row) -> Result:
    derived = {GFLOPS: row.problem.flops, GBPS: row.problem.nbytes}
    kept = [each for each in result.figures if each.name not in (*derived, SPEEDUP)]
    if result.ns:
        kept += [Figure(name, work / result.ns, name) for name, work in derived.items() if work]
        ratio = reference_ratio(row, result)
        kept += [Figure(SPEEDUP, ratio, f"times {row.reference}")] if ratio else []
    return replace(result, figures=tuple(kept))


def reference_ratio(row: Row, result: Result) -> float | None:
    """The time of the reference divided by that of a result; None between different scopes.

    Host code is compared with kernels and whole calls alike: NumPy has its data where it computes. Where both
    sides replayed graphs, because kernels are short, it is the ratio of the replays.
    """
    reference = row.result(row.reference)
    if not reference or result.by == row.reference or result.by.endswith(" graph"):
        return None
    if result.scope == "end to end" and reference.scope != "host":
        return None
    if result.scope == "host" and reference.scope == "kernel":
        return None
    replays = row.result(f"{row.reference} graph"), row.result("ours graph")
    if result.by in _SELECTED and all(each and each.ns for each in replays):
        return row.ratio(f"{row.reference} graph", "ours graph")
    return row.ratio(row.reference, result.by)


def share_of_ceiling(result: Result) -> float | None:
    """The roofline's time divided by the measured one: 1 is as fast as the measured ceilings allow."""
    roofline = result.figure(ROOFLINE)
    return roofline / result.ns if roofline and result.ns else None
