"""The suite of reductions: of all elements, and of matrices along each axis."""

from collections.abc import Sequence

from rusty_py.bench.suites.description import Axis, Shape, SuiteDescription, Task


def _tasks(operation: str, shape: Shape, axes: Sequence[Axis] = ()) -> list[Task]:
    """Over everything; a matrix also along its rows and its columns."""
    usual = (None, 0, 1) if len(shape) == 2 else (None,)
    return [Task(operation, shape, {"axis": axis}) for axis in axes or usual]


SUITE = SuiteDescription(
    "reduce",
    "Times reductions of arrays, and calls from NumPy to NumPy.",
    ("sum", "max", "argmax", "var"),
    _tasks,
    {
        "CPU": ((4096,), (256, 256), (1000, 1000)),
        "GPU": ((4096,), (1000, 1000), (4096, 4096)),
    },
    axes=(None, 0, 1, 2, 3),
    family="reductions",
    presets={"millions": ((10**6,), (10**7,), (10**8,)), "large": ((16384, 8192),)},
)
