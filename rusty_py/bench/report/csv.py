"""The report as CSV: one line per case, plain numbers in the units of the column names."""

import csv
import io

from rusty_py.bench.report.rows import facts, numpy_ms, scaled
from rusty_py.bench.run import BenchRun, Result
from rusty_py.measure.case import Case


def render(run: BenchRun) -> str:
    """A header line, results, then skipped cases. Missing values are empty cells.

    A run without cases has no lines, since the size columns depend on the cases.
    """
    records = [_record(run, result.case, result.verdict, result.reason, result) for result in run.results]
    records += [_record(run, skipped.case, "skipped", skipped.reason) for skipped in run.skipped]
    text = io.StringIO()
    if records:
        table = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(records)
    return text.getvalue().rstrip("\n")


def _record(
    run: BenchRun, case: Case, verdict: str, reason: str, result: Result | None = None
) -> dict[str, object]:
    stats = result.stats if result else None
    return {
        "suite": case.problem.suite,
        "products": 1,
        **case.problem.axes,
        "layout": case.problem.layout,
        "dtype": case.problem.dtype,
        "sums": case.problem.sums,
        "kernel": case.variant,
        "verdict": verdict,
        "clock": run.clock,
        "median_ms": stats.median / 1e6 if stats else None,
        "mad_ms": scaled(stats.spread, 1e6) if stats else None,
        "min_ms": stats.min / 1e6 if stats else None,
        "samples": stats.n if stats else None,
        "gflops": result.gflops if result else None,
        "ceiling_gflops": result.roof_gflops if result else None,
        "numpy_ms": numpy_ms(case.problem, run),
        "error_of_bound": result.proof.error if result else None,
        "relative_error": result.proof.relative_error if result else None,
        "adapter": facts(run, "adapter", "name"),
        "backend": facts(run, "adapter", "backend"),
        "adapter_type": facts(run, "adapter", "type"),
        "plan": case.plan,
        "reason": reason,
    }
