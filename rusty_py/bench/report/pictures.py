"""Times and ratios of a run as pictures, by Matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rusty_py.bench.diagnosis import LABELS
from rusty_py.bench.report import files
from rusty_py.errors import ToolError
from rusty_py.measure.document import BenchRun
from rusty_py.measure.figures import SPEEDUP

TIMES, RATIOS = "benchmark_times.png", "benchmark_speedup.png"

Series = Mapping[str, Mapping[str, float]]
"""Values by problem, by implementation."""


def draw(run: BenchRun, folder: Path) -> None:
    """Writes both pictures, or the first if nothing has a reference. Raises ToolError, FileError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolError(f"report: --plot needs Matplotlib: {error}; install rusty_py[plot]") from error
    files.make_folder(folder)
    problems = [row.problem.name for row in run.rows]
    references = {LABELS.get(row.reference, row.reference) for row in run.rows if row.reference}
    pictures = (
        (TIMES, times(run), "time, ms"),
        (RATIOS, ratios(run), f"time of {', '.join(sorted(references))} / time"),
    )
    for name, series, label in pictures:
        if series:
            figure = Figure(figsize=(max(6.0, 1.5 * len(problems)), 4.5), layout="constrained")
            _bars(figure.add_subplot(), problems, series, label)
            figure.savefig(folder / name, dpi=120)


def times(run: BenchRun) -> Series:
    """Milliseconds of every implementation but whole calls."""
    found: dict[str, dict[str, float]] = {}
    for row, result in run.results():
        if result.ns and result.scope != "end to end":
            found.setdefault(LABELS.get(result.by, result.by), {})[row.problem.name] = result.ns / 1e6
    return found


def ratios(run: BenchRun) -> Series:
    """The reference's time divided by that of every kernel."""
    found: dict[str, dict[str, float]] = {}
    for row, result in run.results():
        ratio = result.figure(SPEEDUP)
        if ratio and result.scope != "end to end" and result.by != row.reference:
            found.setdefault(result.by, {})[row.problem.name] = ratio
    return found


def _bars(axes: Any, problems: list[str], series: Series, label: str) -> None:
    """Groups of bars, a group for each problem, on a logarithmic scale."""
    width = 0.8 / len(series)
    for i, (by, values) in enumerate(series.items()):
        places = [j + (i - (len(series) - 1) / 2) * width for j in range(len(problems))]
        axes.bar(places, [values.get(name, 0.0) for name in problems], width, label=by)
    axes.set_yscale("log")
    axes.set_ylabel(label)
    axes.set_xticks(range(len(problems)), problems, rotation=30, ha="right")
    axes.legend()
