"""The suite of cumulative operations and sorts."""

from collections.abc import Sequence

from rusty_py.bench.suites.description import LARGE, Axis, Shape, SuiteDescription, Task


def _tasks(operation: str, shape: Shape, axes: Sequence[Axis] = ()) -> list[Task]:
    """Along each axis."""
    return [Task(operation, shape, {"axis": axis}) for axis in axes or range(len(shape))]


SUITE = SuiteDescription(
    "scan",
    "Times scans and sorts, and calls from NumPy to NumPy.",
    ("cumulative_sum", "cumulative_prod", "sort", "argsort"),
    _tasks,
    {
        "CPU": ((4096,), (65536,), (256, 1024)),
        "GPU": ((4096,), (10**6,), (10**7,), (4096, 1024)),
    },
    axes=(0, 1, 2, 3),
    presets={"millions": ((10**6,), (10**7,), (10**8,)), "large": (LARGE, (16384, 8192))},
)
