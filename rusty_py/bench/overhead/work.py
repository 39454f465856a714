"""The workload of `overhead`: y = 2 x, by rusty_py and plain wgpu-py, with verification."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rusty_py.bench.host_rows import host_row
from rusty_py.bench.plain import Plain
from rusty_py.measure.document import BenchProblem, ClockName
from rusty_py.measure.kernels import DOUBLE
from rusty_py.measure.runner import Comparison
from rusty_py.measure.work import Implementation, Verify
from rusty_py.runtime.device import Buffer, Device
from rusty_py.runtime.launch import launch
from rusty_py.shapes import ceil_div

COUNT = 1024
METHOD = f"y = 2 x, bit for bit, {COUNT:,} random f32"
OURS, PLAIN, HELPER = "ours", "wgpu-py", "compute_with_buffers"

_POISON = 0xDEADBEEF

Words = NDArray[np.uint32]
Floats = NDArray[np.float32]


def task(name: str) -> BenchProblem:
    """The problem of a row."""
    return BenchProblem("overhead", name)


def row(
    name: str, clock: ClockName, method: str, implementations: Sequence[Implementation], *, seed: str = ""
) -> Comparison:
    """A row, compared with plain wgpu-py."""
    return host_row(task(name), clock, method, implementations, reference=PLAIN, seed=seed)


def fault(got: NDArray[np.generic], expected: NDArray[np.generic]) -> str:
    """Describes how `got` differs from `expected` bit for bit; "" if it doesn't."""
    wrong = got.reshape(-1).view(np.uint8) != expected.reshape(-1).view(np.uint8)
    if not wrong.any():
        return ""
    words = wrong.reshape(-1, 4).any(axis=1)
    return f"{words.mean():.2%} of the elements differ"


def then(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    """A function that calls both in order."""

    def run() -> None:
        first()
        second()

    return run


def groups(count: int) -> int:
    """Workgroups of the doubling kernel for `count` elements."""
    return ceil_div(count, DOUBLE.threads)


class Doubling:
    """x and y on a `Device`."""

    def __init__(self, device: Device, count: int = COUNT) -> None:
        self.device, self.count = device, count
        self.x = device.empty(4 * count, label="x")
        self.y = device.empty(4 * count, label="y")
        self.workgroups = (groups(count), 1, 1)

    def launch(self, n: int) -> None:
        """Records y = 2 x, n times."""
        device, inputs, outputs, workgroups = self.device, [self.x], [self.y], self.workgroups
        for _ in range(n):
            launch(device, DOUBLE, inputs=inputs, outputs=outputs, workgroups=workgroups)

    def verify(self, run: Callable[[], None], factor: Callable[[], int] = lambda: 2) -> str:
        """Whether `run` makes y = factor x of fresh x, over a poisoned y."""
        x = fresh(self.count)
        self.device.write(self.x, x)
        self.device.write(self.y, np.full(self.count, _POISON, np.uint32))
        run()
        return fault(self.read(self.y), np.float32(factor()) * x)

    def read(self, buffer: Buffer) -> Floats:
        """The buffer's elements."""
        out = np.empty(self.count, np.float32)
        self.device.read(buffer, out)
        return out


class PlainDoubling:
    """x and y on a wgpu-py device, with pipeline and bind group created once."""

    def __init__(self, plain: Plain, count: int = COUNT) -> None:
        self.plain, self.count, self.groups = plain, count, groups(count)
        self.x, self.y = plain.buffer(4 * count), plain.buffer(4 * count)
        self.pipeline = plain.pipeline(DOUBLE)
        self.bindings = plain.bindings(self.pipeline, [self.x, self.y])

    def verify(self, run: Callable[[], None], factor: Callable[[], int] = lambda: 2) -> str:
        """Whether `run` makes y = factor x of fresh x, over a poisoned y."""
        x = fresh(self.count)
        self.plain.fill(self.x, x)
        self.plain.fill(self.y, np.full(self.count, _POISON, np.uint32))
        run()
        return fault(self.plain.read(self.y), np.float32(factor()) * x)


class Latest:
    """The input and last output of an implementation that takes and returns NumPy arrays."""

    def __init__(self, count: int = COUNT) -> None:
        self.x = fresh(count)
        self.y: NDArray[np.generic] = np.empty(0, np.float32)

    def verifier(self) -> Verify:
        """Verifies that `run` outputs twice the input."""

        def verify(run: Callable[[], None]) -> str:
            self.x = fresh(self.x.size)
            self.y = np.full(self.x.size, _POISON, np.uint32)
            run()
            return fault(self.y, 2 * self.x)

        return verify


def fresh(count: int) -> Floats:
    """Random integers from -1000 to 1000, exact in f32 when multiplied by a factor below 2^14."""
    return np.random.default_rng().integers(-1000, 1001, count).astype(np.float32)
