"""The suite of elementwise operations."""

from rusty_py.bench.suites.description import Shape, SuiteDescription, Task


def _tasks(operation: str, shape: Shape) -> list[Task]:
    return [Task(operation, shape)]


SUITE = SuiteDescription(
    "elementwise",
    "Times elementwise operations, and calls from NumPy to NumPy.",
    ("add", "multiply", "divide", "maximum", "exp", "tanh"),
    _tasks,
    {
        "CPU": ((4096,), (65536,), (1 << 20,)),
        "GPU": ((4096,), (1 << 18,), (1 << 24,)),
    },
)
