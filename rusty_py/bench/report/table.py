"""The report for a terminal."""

from tabulate import tabulate

from rusty_py.bench.report.rows import findings, header, rows
from rusty_py.bench.report.rows import legend as legend_of
from rusty_py.bench.run import BenchRun

_RIGHT = {"ms (GPU)", "ms (wall)", "± %", "GFLOPS", "% of ceiling", "% of peak", "× NumPy", "error"}


def render(run: BenchRun, *, legend: bool = True) -> str:
    """The table, findings and optionally the legend."""
    head = header(run)
    align = ["right" if name in _RIGHT else "left" for name in head]
    table = tabulate(list(rows(run)), head, tablefmt="simple", disable_numparse=True, colalign=align)
    parts = ([table], findings(run), legend_of(run) if legend else [])
    return "\n\n".join("\n".join(part) for part in parts if part)
