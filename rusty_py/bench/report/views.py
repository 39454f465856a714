"""What differs between the reports of the commands: their tables, findings and legends."""

from types import ModuleType
from typing import Protocol, cast

from rusty_py.bench.report import convolutions, kernels, overhead, transfer
from rusty_py.bench.report.columns import Table
from rusty_py.measure.document import BenchRun


class View(Protocol):
    """Pure functions of a run. They need no device."""

    def configuration(self, run: BenchRun) -> list[str]: ...

    def tables(self, run: BenchRun) -> list[Table]: ...

    def findings(self, run: BenchRun) -> list[str]: ...

    def legend(self, run: BenchRun) -> list[str]: ...


_VIEWS: dict[str, ModuleType] = {"conv2d": convolutions, "overhead": overhead, "transfer": transfer}


def view_of(run: BenchRun) -> View:
    """The view of the run's command: kernels, unless it measures the host."""
    return cast(View, _VIEWS.get(run.command, kernels))
