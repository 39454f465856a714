"""The suite of operations that normalise the rows of a matrix."""

from collections.abc import Sequence

from rusty_py.bench.suites.description import LARGE_MATRICES, Axis, Shape, SuiteDescription, Task

_ALONG_AXES = ("softmax", "log_softmax")


def _tasks(operation: str, shape: Shape, axes: Sequence[Axis] = ()) -> list[Task]:
    """Along the last axis, or along `axes` where the operation takes any."""
    if operation not in _ALONG_AXES:
        return [Task(operation, shape, {"eps": 1e-5})]
    return [Task(operation, shape, {"axis": axis}) for axis in axes or (len(shape) - 1,)]


SUITE = SuiteDescription(
    "norm",
    "Times softmax and norms, and calls from NumPy to NumPy.",
    (*_ALONG_AXES, "layer_norm", "rms_norm"),
    _tasks,
    {
        "CPU": ((256, 512), (256, 1024), (256, 2048)),
        "GPU": ((4096, 512), (4096, 1024), (4096, 2048)),
    },
    axes=(0, 1, 2, 3),
    presets={"rows": ((4096, 512), (4096, 1024), (4096, 2048)), "large": LARGE_MATRICES},
)
