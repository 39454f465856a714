"""The cost of small eager calls on arrays, and how it is divided.

A row is either many calls with one wait at the end, or the same calls recorded into an open batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import process_time_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import Array, asarray, matmul
from rusty_py.bench.overhead.parts import TimedDevice
from rusty_py.bench.overhead.work import OURS, fault, row
from rusty_py.measure.document import Figure
from rusty_py.measure.runner import Comparison
from rusty_py.measure.work import Implementation
from rusty_py.runtime.device import Device

TIMED = "ours, calls timed"
PROCESS_CPU = "process CPU"

# Few enough that the host never waits for the device before the end.
_MAX_CALLS, _MAX_REPLAYS = 2000, 200
_WARM_UP = 4  # Calls after which the throughput of long kernels is known.
_MAX_INTEGER = 100  # Sums of 256 products of such integers are exact in f32.

Compute = Callable[..., Any]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Expression:
    """A call on operands of `shapes`. `numpy` is the reference, by default the expression itself.

    With `graph` the call is captured once and replayed.
    """

    text: str
    shapes: tuple[tuple[int, ...], ...]
    compute: Compute
    numpy: Compute | None = None
    graph: bool = False

    @property
    def waited(self) -> str:
        """The name of the row with one final wait."""
        return f"{self.text}, through the final wait"

    @property
    def recorded(self) -> str:
        """The name of the row that records into an open batch."""
        return f"{self.text}, recorded in a batch"


def _linear(a: Array, b: Array, bias: Array) -> Array:
    return matmul(a, b, bias=bias, activation="relu")


def _numpy_linear(a: Integers, b: Integers, bias: Integers) -> Integers:
    product: Integers = np.maximum(a @ b + bias, 0)
    return product


_VECTOR, _MATRIX, _SMALL = (256,), (256, 256), (64, 64)

EXPRESSIONS = (
    Expression("x + y of 256", (_VECTOR, _VECTOR), lambda x, y: x + y),
    Expression("x * 2 of 256", (_VECTOR,), lambda x: x * 2),
    Expression("x[::2] + 1.0 of 256", (_VECTOR,), lambda x: x[::2] + 1.0),
    Expression("x.sum() of 256", (_VECTOR,), lambda x: x.sum()),
    Expression("a.T + b of 256x256", (_MATRIX, _MATRIX), lambda a, b: a.T + b),
    Expression("a @ b of 64x64", (_SMALL, _SMALL), lambda a, b: a @ b),
    Expression("a @ b of 256x256", (_MATRIX, _MATRIX), lambda a, b: a @ b),
    Expression("relu(a @ b + bias) of 256x256", (_MATRIX, _MATRIX, _VECTOR), _linear, _numpy_linear),
)
REPLAYED = Expression("graph.replay() of x + y of 256", (_VECTOR, _VECTOR), lambda x, y: x + y, graph=True)


def names() -> list[str]:
    """The rows, in order."""
    both = [name for each in EXPRESSIONS for name in (each.waited, each.recorded)]
    return [*both, REPLAYED.waited]


def eager(device: Device, timed: TimedDevice, expression: Expression) -> Sequence[Comparison]:
    """The rows of an expression: on `device`, and on a device with timed calls."""
    method = "integers, bit for bit as NumPy's"
    calls = [Calls(device, expression), Calls(timed.device, expression, timed)]
    comparisons = [row(expression.waited, "wall", method, [each.waited() for each in calls])]
    if not expression.graph:
        comparisons.append(row(expression.recorded, "wall", method, [each.recorded() for each in calls]))
    return comparisons


class Calls:
    """Calls of an expression on a device's arrays. With `timed` the calls into wgpu-native are timed."""

    def __init__(self, device: Device, expression: Expression, timed: TimedDevice | None = None) -> None:
        self.device, self.expression, self.timed = device, expression, timed
        self._call: Callable[[], Array]
        self._result: Array
        self._runs, self._cpu_ns = 1, 0
        self._prepare(self._operands())

    def waited(self) -> Implementation:
        """Calls with one wait at the end."""
        limit = _MAX_REPLAYS if self.expression.graph else _MAX_CALLS
        return self._implementation(self._issue_all, self.device.wait, batch=False, limit=limit)

    def recorded(self) -> Implementation:
        """Calls recorded into an open batch without a submission."""
        return self._implementation(self._issue, None, batch=True, limit=self._max_in_a_batch())

    def _implementation(
        self, issue: Callable[[int], None], wait: Callable[[], None] | None, *, batch: bool, limit: int
    ) -> Implementation:
        def run(n: int) -> None:
            self._runs = n
            if self.timed:
                self.timed.run(lambda: issue(n), wait, runs=n)
            else:
                issue(n)
                if wait:
                    wait()

        @contextmanager
        def around() -> Iterator[None]:
            with self.device.batch() if batch else nullcontext():
                start = process_time_ns()
                yield
                self._cpu_ns = process_time_ns() - start

        by = TIMED if self.timed else OURS
        return Implementation(
            by, run, self._verify, self.device.wait, around, limit=limit, sampled=self._sampled
        )

    def _issue(self, n: int) -> None:
        call = self._call
        for _ in range(n):
            self._result = call()

    def _issue_all(self, n: int) -> None:
        self._issue(n)
        self.device.queue.flush()

    def _sampled(self) -> Sequence[Figure]:
        cpu = Figure(PROCESS_CPU, self._cpu_ns / self._runs, "ns")
        return [cpu, *self.timed.parts] if self.timed else [cpu]

    def _operands(self) -> list[Integers]:
        rng = np.random.default_rng()
        shapes = self.expression.shapes
        return [rng.integers(-_MAX_INTEGER, _MAX_INTEGER, shape, endpoint=True) for shape in shapes]

    def _prepare(self, operands: Sequence[Integers]) -> None:
        arrays = [asarray(each.astype(np.float32), device=self.device) for each in operands]
        compute = self.expression.compute

        def call() -> Array:
            result: Array = compute(*arrays)
            return result

        self._call = call
        if self.expression.graph:
            with self.device.capture() as graph:
                result = call()

            def replay() -> Array:
                graph.replay()
                return result

            self._call = replay

    def _verify(self, run: Callable[[], None]) -> str:
        """Verifies `run` against NumPy on fresh operands.

        NumPy computes in int64, without BLAS, whose threads would still spin during the next samples and
        count as CPU time of the process.
        """
        operands = self._operands()
        self._prepare(operands)
        run()
        expected = (self.expression.numpy or self.expression.compute)(*operands)
        return fault(np.asarray(self._result), np.asarray(expected, np.float32))

    def _max_in_a_batch(self) -> int:
        """How many calls fit an open batch without a submission."""
        self._issue_all(_WARM_UP)
        self.device.wait()
        queue = self.device.queue
        with self.device.batch():
            before = queue.submissions
            for n in range(1, _MAX_CALLS):
                self._issue(1)
                if queue.submissions != before:
                    return max(1, n // 2)
        return _MAX_CALLS // 2
