"""The effect of the memory pool: the same steps with it, without it, and in plain wgpu-py."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from rusty_py.bench.host_rows import named
from rusty_py.bench.overhead.work import OURS, PLAIN, Floats, PlainDoubling, fault, fresh, groups, row
from rusty_py.bench.plain import Plain
from rusty_py.measure.document import Figure
from rusty_py.measure.kernels import DOUBLE
from rusty_py.measure.runner import Comparison
from rusty_py.measure.work import Implementation
from rusty_py.runtime.device import Buffer, Device
from rusty_py.runtime.launch import launch

SIZES = {"4 KiB": 1 << 12, "64 KiB": 1 << 16, "1 MiB": 1 << 20, "16 MiB": 1 << 24}
ALLOCATIONS, STEPS = "allocations a step", "steps"
_OPERATIONS = 3
_SEED = "against off: time -20 to -30 %, TensorLogic; allocations -90 %, DotCompute on M2"


def pooled(size: str, pool: str = "on") -> str:
    """The name of the row."""
    return f"step of 3 operations on {size}, pool {pool}"


def steps(device: Device, unpooled: Device, plain: Plain, size: str) -> Sequence[Comparison]:
    """Steps on operands of `size`, with the pool on and off. A step waits for its end."""
    count = SIZES[size] // 4
    on, off, peer = Steps(device, count), Steps(unpooled, count), PlainSteps(plain, count)
    peers = [Implementation(PLAIN, peer.run, peer.verify) for _ in range(2)]
    seed = _SEED if size == next(iter(SIZES)) else ""
    method = f"8 x after {_OPERATIONS} doublings, bit for bit"
    return [
        row(pooled(size), "wall", method, [on.implementation(), peers[0]], seed=seed),
        row(pooled(size, "off"), "wall", method, [off.implementation(), peers[1]]),
    ]


class Steps:
    """x doubled three times; each result is a new buffer that is dropped at the next one."""

    def __init__(self, device: Device, count: int) -> None:
        self.device, self.count = device, count
        self.x = device.empty(4 * count, label="x")
        self.y: Buffer = self.x
        self.seen: list[tuple[int, int]] = []  # Steps and allocations of each sample.
        self.ran = 0

    def implementation(self) -> Implementation:
        return Implementation(OURS, self.run, self.verify, around=self.counted, counts=self.counts)

    def run(self, n: int) -> None:
        device, nbytes, workgroups = self.device, 4 * self.count, (groups(self.count), 1, 1)
        self.ran = n
        for _ in range(n):
            y = self.x
            for _ in range(_OPERATIONS):
                x, y = y, device.empty(nbytes)
                launch(device, DOUBLE, inputs=[x], outputs=[y], workgroups=workgroups)
            device.wait()
            self.y = y

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = self.device.pool_stats().allocation_count
        yield
        self.seen.append((self.ran, self.device.pool_stats().allocation_count - before))

    def counts(self) -> Sequence[Figure]:
        """Counts of all samples except the first two, which fill the pool."""
        ran = sum(ran for ran, _ in self.seen[2:])
        made = sum(made for _, made in self.seen[2:])
        return named({STEPS: ran, ALLOCATIONS: made / ran}) if ran else []

    def verify(self, run: Callable[[], None]) -> str:
        """Whether a step makes 8 x of fresh x."""
        x = fresh(self.count)
        self.device.write(self.x, x)
        run()
        out = np.empty(self.count, np.float32)
        self.device.read(self.y, out)
        return _fault(out, x)


class PlainSteps(PlainDoubling):
    """The same steps in plain wgpu-py: new buffers and bind groups, one pass, one submission."""

    def run(self, n: int) -> None:
        plain, nbytes = self.plain, 4 * self.count
        for _ in range(n):
            y, bindings = self.x, []
            for _ in range(_OPERATIONS):
                x, y = y, plain.buffer(nbytes)
                bindings.append(plain.bindings(self.pipeline, [x, y]))
            plain.queue.submit([plain.record(self.pipeline, bindings, self.groups)])
            plain.wait()
            self.y = y

    def verify(self, run: Callable[[], None], factor: Callable[[], int] = lambda: 2**_OPERATIONS) -> str:
        """Whether a step makes 8 x of fresh x."""
        x = fresh(self.count)
        self.plain.fill(self.x, x)
        run()
        return _fault(self.plain.read(self.y).view(np.float32), x)


def _fault(got: Floats, x: Floats) -> str:
    return fault(got, np.float32(2**_OPERATIONS) * x)
