"""The report as CSV: one line a case, plain numbers in SI units, for spreadsheets and scripts."""

import csv
import io

from rusty_py.bench.case import Run
from rusty_py.bench.report.rows import facts, numpy_ms

_HEAD = [
    "suite",
    "m",
    "k",
    "n",
    "dtype",
    "kernel",
    "verdict",
    "clock",
    "median_ms",
    "mad_ms",
    "min_ms",
    "samples",
    "gflops",
    "ceiling_gflops",
    "numpy_ms",
    "error_of_bound",
    "relative_error",
    "adapter",
    "backend",
    "reason",
]


def render(run: Run) -> str:
    """A header line, then results, then what was skipped."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    where = [facts(run, "adapter", "name"), facts(run, "adapter", "backend")]
    for result in run.results:
        problem = result.case.problem
        stats = result.stats
        times = [stats.median / 1e6, stats.mad / 1e6, stats.min / 1e6, stats.n] if stats else [""] * 4
        table.writerow(
            [
                problem.suite,
                *(problem.axes[axis] for axis in "mkn"),
                problem.dtype,
                result.case.variant,
                result.verdict,
                run.clock,
                *times,
                result.gflops,
                result.roof_gflops,
                numpy_ms(result, run),
                result.proof.error,
                result.proof.relative_error,
                *where,
                result.reason,
            ]
        )
    for skipped in run.skipped:
        problem = skipped.case.problem
        head = [problem.suite, *(problem.axes[axis] for axis in "mkn"), problem.dtype, skipped.case.variant]
        blanks = [""] * (len(_HEAD) - len(head) - 4)
        table.writerow([*head, "skipped", *blanks, *where, skipped.reason])
    return text.getvalue().rstrip("\n")
