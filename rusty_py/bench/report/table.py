"""The report for a terminal."""

from tabulate import tabulate

from rusty_py.bench.case import Run
from rusty_py.bench.report.rows import findings, header, legend, rows

_RIGHT = {"ms (GPU)", "ms (wall)", "± %", "GFLOPS", "% of ceiling", "% of peak", "× NumPy", "error"}


def render(run: Run) -> str:
    """The table, what follows from it, and what its columns mean."""
    head = header(run)
    align = ["right" if name in _RIGHT else "left" for name in head]
    table = tabulate(list(rows(run)), head, tablefmt="simple", disable_numparse=True, colalign=align)
    return "\n\n".join(["\n".join(part) for part in ([table], findings(run), legend(run)) if part])
