"""Ours."""

import numpy as np

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix
from rusty_py.buffer import Buffer
from rusty_py.device import Device
from rusty_py.kernel import Launch, submissions
from rusty_py.ops.matmul import choose_spec, launches
from rusty_py.timing import Clock, Timer, check_clock


def launches_of(device: Device, a: Matrix, b: Matrix) -> tuple[list[Launch], Buffer]:
    """The launches that compute a @ b, and where they leave it, row-major in the dtype of a.

    Raises Unavailable for what matmul has no kernel for.
    """
    if a.ndim > 2 or a.dtype != np.float32 or not (a.flags.c_contiguous and b.flags.c_contiguous):
        raise Unavailable("f32 row-major matrices only")
    (m, k), n = a.shape, b.shape[1]
    c = device.empty(m * n * a.itemsize, label="c")
    spec = choose_spec(device, m, n, k=k)
    inputs = device.upload(a, label="a"), device.upload(b, label="b")
    return launches(device, spec, *inputs, c, m=m, k=k, n=n), c


def start(variant: str) -> "RustyPy":
    """The default device, without run-time checks in the kernels."""
    return RustyPy()


class RustyPy:
    """Our kernels by our timer."""

    def __init__(self) -> None:
        self.device = Device()
        self.timer = Timer(self.device)
        self.trusted: Clock | None = None

    def about(self) -> dict[str, str]:
        adapter = self.device.adapter
        return {"device": adapter.name, "backend": adapter.backend, "driver": adapter.driver}

    def product(self, a: Matrix, b: Matrix) -> "OurProduct":
        work, c = launches_of(self.device, a, b)
        if self.trusted is None:
            self.trusted = check_clock(self.timer, work[0], at_least_s=0.05)
        return OurProduct(self.timer, self.trusted, work, c, np.empty((*a.shape[:-1], b.shape[-1]), a.dtype))


class OurProduct:
    """A list of launches, recorded as often as asked for, in submissions of a fifth of a second."""

    def __init__(self, timer: Timer, trusted: Clock, work: list[Launch], c: Buffer, out: Matrix) -> None:
        self.timer, self.trusted, self.work, self.c, self.out = timer, trusted, work, c, out
        self.clock = "GPU timestamps" if trusted.name == "gpu" else f"wall ({trusted.reason})"

    def result(self) -> Matrix:
        self.seconds(1)
        self.timer.device.read(self.c, self.out)
        return self.out

    def seconds(self, calls: int) -> float:
        device = self.timer.device
        sample = self.timer.sample(list(submissions(device, self.work * calls)))
        flops = calls * sum(launch.flops for launch in self.work)
        device.pace.observe(self.work[0].spec, flops=flops, seconds=sample.wall_ns / 1e9)
        if sample.gpu_ns is None and self.trusted.name == "gpu":
            self.clock = f"wall ({sample.fault})"
        return self.trusted.ns(sample) / 1e9
