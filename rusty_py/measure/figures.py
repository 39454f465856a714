"""Figures that follow from times and costs: rates and shares of the ceiling."""

from dataclasses import replace

from rusty_py.measure.document import BenchProblem, BenchRun, Figure, Result

GFLOPS, GBPS, ROOFLINE = "GFLOPS", "GB/s", "roofline"


def with_figures(run: BenchRun) -> BenchRun:
    """The run with the figures of every measured result."""
    run.rows = [
        replace(row, results=tuple(_with_figures(result, row.problem) for result in row.results))
        for row in run.rows
    ]
    return run


def _with_figures(result: Result, problem: BenchProblem) -> Result:
    derived = {GFLOPS: problem.flops, GBPS: problem.nbytes}
    kept = [each for each in result.figures if each.name not in derived]
    if result.ns:
        kept += [Figure(name, work / result.ns, name) for name, work in derived.items() if work]
    return replace(result, figures=tuple(kept))


def share_of_ceiling(result: Result) -> float | None:
    """The roofline's time divided by the measured one: 1 is as fast as the measured ceilings allow."""
    roofline = result.figure(ROOFLINE)
    return roofline / result.ns if roofline and result.ns else None
