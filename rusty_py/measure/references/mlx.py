"""MLX on Apple GPUs, timed by the wall clock. MLX is imported by `library` only."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import LimitError, ToolError
from rusty_py.measure.document import ClockName, Timed
from rusty_py.measure.references.computation import ReferenceTrack, wall_timed
from rusty_py.measure.references.layouts import flat
from rusty_py.measure.references.mlx_functions import arranged, call_of
from rusty_py.measure.references.task import ReferenceTask
from rusty_py.measure.sampling import Track
from rusty_py.runtime.device import Device

NAME = "mlx"
_CHAINED = 16  # Calls in one graph: fewer graphs are less Python, and more hold more results.


class MlxLibrary:
    """MLX on its GPU."""

    name = NAME
    on_host = False

    def __init__(self, mx: Any) -> None:
        self.mx = mx

    def about(self) -> Mapping[str, str]:
        return {"mlx": version("mlx"), "mlx device": str(self.mx.default_device())}

    def tracks(self, task: ReferenceTask, *, device: Device, clock: ClockName) -> Sequence[Track]:
        return [ReferenceTrack(NAME, task, MlxCalls(self.mx, task), clock="wall", scope="kernel")]


class MlxCalls:
    """Calls in chains: each depends on the one before, so that evaluating the last evaluates all.

    MLX allocates every result. The buffer of an earlier one may be reused, so that poison would not reach it.
    """

    step = 1

    def __init__(self, mx: Any, task: ReferenceTask) -> None:
        self.mx, self.task = mx, task
        self.out: Any = None

    def prepare(self) -> None:
        with _translated():
            self.given = [self._moved(x) for x in arranged(self.task)]
            self.call = call_of(self.mx, self.task)
            self._run(1)

    def poison(self) -> None:
        """Drops the result."""
        self.out = None

    def sample(self, runs: int) -> Timed:
        with _translated():
            return wall_timed(lambda: self._run(runs))

    def result(self) -> NDArray[Any]:
        return np.array(self.out)

    def _run(self, runs: int) -> None:
        done = 0
        while done < runs:
            calls = min(_CHAINED, runs - done)
            self.out = self._chain(calls)
            self.mx.async_eval(self.out)
            done += calls
        self.mx.eval(self.out)
        self.mx.synchronize()

    def _chain(self, calls: int) -> Any:
        """The result of the last of `calls` calls, not evaluated yet."""
        result = self.call(*self.given)
        for _ in range(calls - 1):
            result = self.call(*self.mx.depends(self.given, [result]))
        return result

    def _moved(self, x: NDArray[Any]) -> Any:
        """`x` in MLX's memory, with its strides."""
        values, (offset, shape, strides) = flat(x)
        moved = self.mx.as_strided(self.mx.array(values), shape, strides, offset)
        self.mx.eval(moved)
        return moved


@contextmanager
def _translated() -> Iterator[None]:
    """Raises MLX's errors as ours, so that the runner skips the track with the reason."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, LimitError):
            raise
        raise LimitError(f"mlx: {error}") from error


def library() -> MlxLibrary:
    """MLX. Raises ToolError if it is not installed, and if its default device is not a GPU."""
    try:
        mx = import_module("mlx.core")
    except ImportError as error:
        raise ToolError(f"mlx: not installed: {error}; install it with: pip install mlx") from error
    if mx.default_device() != mx.Device(mx.gpu):
        raise ToolError(
            f"mlx: no GPU: it uses {mx.default_device()}; install mlx on a Mac with Apple silicon"
        )
    return MlxLibrary(mx)
