"""The report as CSV: one line per result, plain numbers in the units of the column names."""

import csv
import io
import re

from rusty_py.bench.report.facts import facts
from rusty_py.bench.report.numbers import scaled
from rusty_py.measure.document import BenchRun, Result, Row


def render(run: BenchRun) -> str:
    """A header line and the results, with all axes, options and figures that occur; missing cells are empty.

    A run without results has no lines, since these columns depend on them.
    """
    records = [_record(run, row, result) for row, result in run.results()]
    columns = dict.fromkeys(name for record in records for name in record)
    text = io.StringIO()
    if records:
        table = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(records)
    return text.getvalue().rstrip("\n")


def _record(run: BenchRun, row: Row, result: Result) -> dict[str, object]:
    problem, stats, verification = row.problem, result.stats, result.verification
    times = {
        name: scaled(getattr(stats, field), 1e6) if stats else None
        for name, field in (
            *(("median_ms", "median"), ("mad_ms", "spread"), ("mean_ms", "mean"), ("min_ms", "min")),
            *(("max_ms", "max"), ("p95_ms", "p95"), ("low_ms", "low"), ("high_ms", "high")),
        )
    }
    return {
        "command": run.command,
        "operation": problem.operation,
        "problem": problem.name,
        **problem.axes,
        **problem.options,
        "dtype": problem.dtype,
        "flops": problem.flops,
        "read_bytes": problem.read_bytes,
        "written_bytes": problem.written_bytes,
        "implementation": result.by,
        "scope": result.scope,
        "verdict": result.verdict,
        "clock": result.clock,
        **times,
        "outliers": stats.outliers if stats else None,
        "samples": stats.n if stats else None,
        "runs_per_sample": result.samples.runs if stats else None,
        **{_name(figure.name, figure.unit): figure.value for figure in result.figures},
        "error_of_bound": verification.error if verification else None,
        "relative_error": verification.relative_error if verification else None,
        "seed": row.seed,
        "adapter": facts(run, "adapter", "name"),
        "backend": facts(run, "adapter", "backend"),
        "adapter_type": facts(run, "adapter", "type"),
        "plan": result.plan,
        "reason": result.reason,
    }


def _name(figure: str, unit: str) -> str:
    """A column's name: "gflops", "gb_per_s", "python_ns"."""
    name = f"{figure} {unit}" if unit not in ("", figure) else figure
    return re.sub(r"\W+", "_", name.replace("/", " per ")).strip("_").lower()
