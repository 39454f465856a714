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
_CAST = {"matmul", "vector_norm"}  # NumPy's own of float16 lose digits, and have no BLAS or dtype=.
_ACCUMULATED = {*_CAST, "sum", "mean", "prod", "var", "std"}
_ACCUMULATED |= {"cumulative_sum", "cumulative_prod", "cumsum", "cumprod"}


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
        in_f32 = task.operation in _ACCUMULATED and task.dtype == np.float16
        self.dtype = np.dtype(np.float32) if in_f32 else task.dtype

    def prepare(self) -> None:
        self.task.check_options(NAME)
        operands = self.task.operands
        if self.task.operation in _CAST:
            operands = tuple(_cast(x, self.dtype) for x in operands)
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
        options: dict[str, Any] = {}
        if "axis" in takes:
            options["axis"] = task.options.get("axis")
        if "keepdims" in takes:
            options["keepdims"] = task.keepdims
        if "stable" in takes:  # Equal elements keep their order in ours.
            options["stable"] = True
        if "dtype" in takes:
            options["dtype"] = self.dtype
        if "out" in takes:
            options["out"] = out
            return lambda: _called(function, operands, options)
        return lambda: np.asarray(function(*operands, **options))


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
