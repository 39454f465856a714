"""NumPy on the host, with a preallocated result where its function takes one."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import LimitError
from rusty_py.measure.document import ClockName, Timed
from rusty_py.measure.references.computation import ReferenceTrack, poison, poisoned, wall_timed
from rusty_py.measure.references.task import ReferenceTask
from rusty_py.measure.sampling import Track
from rusty_py.runtime.device import Device

NAME = "numpy"
_OF_INDICES = {"argmax", "argmin", "argsort"}  # Their results are int64 in NumPy.


class NumpyLibrary:
    """NumPy, timed by the wall clock. float16 is multiplied and added up in float32."""

    name = NAME
    on_host = True

    def about(self) -> Mapping[str, str]:
        return {"numpy": np.__version__}

    def tracks(self, task: ReferenceTask, *, device: Device, clock: ClockName) -> Sequence[Track]:
        return [ReferenceTrack(NAME, task, NumpyCalls(task), clock="wall", scope="host")]


class NumpyCalls:
    """Calls of NumPy's function on the task's operands."""

    step = 1

    def __init__(self, task: ReferenceTask) -> None:
        self.task = task
        # NumPy's own sums of float16 lose digits, and have no BLAS.
        ufunc = isinstance(task.numpy, np.ufunc) and task.operation != "matmul"
        in_f32 = task.dtype == np.float16 and not ufunc
        self.dtype = np.dtype(np.float32) if in_f32 else task.dtype

    def prepare(self) -> None:
        operands = self.task.operands
        if self.dtype != self.task.dtype:
            operands = tuple(_cast(x, self.dtype) if x.dtype == self.task.dtype else x for x in operands)
        self.out = poisoned(self.task.shape, self.dtype)
        self.call = self._call(operands)
        try:
            self.sample(1)
        except (TypeError, ValueError) as error:
            raise LimitError(f"numpy: {self.task.operation}: {error}") from error

    def poison(self) -> None:
        poison(self.out)

    def sample(self, runs: int) -> Timed:
        with np.errstate(all="ignore"):
            return wall_timed(lambda: self._run(runs))

    def result(self) -> NDArray[Any]:
        return self.out.astype(self.task.dtype, copy=False)

    def _run(self, runs: int) -> None:
        for _ in range(runs):
            self.out = self.call()

    def _call(self, operands: tuple[NDArray[Any], ...]) -> Callable[[], NDArray[Any]]:
        """A call that returns the result."""
        task, out = self.task, self.out
        if task.operation == "astype":
            (x,) = operands
            return lambda: _converted(x, out)
        function = task.numpy
        if function is None:
            raise LimitError(f"numpy: no function for {task.operation}")
        takes = {"out"} if isinstance(function, np.ufunc) else _parameters(function)
        task.check_options(NAME, also=takes)
        options = {name: value for name, value in task.options.items() if name in takes}
        if "keepdims" in takes:
            options |= {"axis": _axis(task), "keepdims": task.keepdims}
        if "dtype" in takes:
            options["dtype"] = self.dtype
        if "stable" in takes:
            options["stable"] = True
        if isinstance(function, np.ufunc):
            options["casting"] = "unsafe"  # NumPy rounds integers in float64.
        if "out" in takes and task.operation not in _OF_INDICES:
            options["out"] = out
            return lambda: _called(function, operands, options)
        return lambda: np.asarray(function(*operands, **options))


def _axis(task: ReferenceTask) -> int | tuple[int, ...] | None:
    """The axes of a reduction: some functions take one or all."""
    if len(task.axes) == task.operands[0].ndim:
        return None
    return task.axes[0] if len(task.axes) == 1 else task.axes


def _called(
    function: Callable[..., object], operands: tuple[NDArray[Any], ...], options: Mapping[str, Any]
) -> NDArray[Any]:
    """The preallocated result: NumPy may return a number in place of an array without axes."""
    function(*operands, **options)
    out: NDArray[Any] = options["out"]
    return out


def _converted(x: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    np.copyto(out, x, casting="unsafe")
    return out


def _cast(x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`x` in another dtype, with the order of its axes in memory."""
    return x.astype(dtype, order="K", copy=False)


def _parameters(function: Callable[..., object]) -> set[str]:
    """The names of the parameters; none for a function that Python can't inspect."""
    try:
        return set(signature(function).parameters)
    except ValueError:
        return set()


def library() -> NumpyLibrary:
    """NumPy, which is always there."""
    return NumpyLibrary()
