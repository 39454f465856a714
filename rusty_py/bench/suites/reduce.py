"""The suite of reductions: of all elements, and of matrices along each axis."""

from rusty_py.bench.suites.description import Shape, SuiteDescription, Task


def _tasks(operation: str, shape: Shape) -> list[Task]:
    """Over everything; a matrix also along its rows and its columns."""
    axes = (None, 0, 1) if len(shape) == 2 else (None,)
    return [Task(operation, shape, {"axis": axis}) for axis in axes]


SUITE = SuiteDescription(
    "reduce",
    "Times reductions of arrays, and calls from NumPy to NumPy.",
    ("sum", "max"),
    _tasks,
    {
        "CPU": ((4096,), (256, 256), (1024, 1024)),
        "GPU": ((4096,), (1024, 1024), (4096, 4096)),
    },
)
