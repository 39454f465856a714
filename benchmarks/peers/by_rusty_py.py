"""Ours."""

import numpy as np

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.problem import contiguous
from rusty_py.gemm.select import plan
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, prepare, run, submissions
from rusty_py.runtime.timing import Timer
from rusty_py.tune.search import problem_of


def launches_of(device: Device, a: Matrix, b: Matrix, *, sums: str = "f32") -> tuple[list[Launch], Buffer]:
    """The launches by which matmul computes a @ b, and where they leave it, row-major in the dtype of a.

    Transposed operands lie column by column on the device, too. Sums are added up in `sums`.
    """
    layout = "".join("n" if x.flags.c_contiguous else "t" for x in (a, b))
    products = 1 if a.ndim == 2 else len(a)
    (m, k), n = a.shape[-2:], b.shape[-1]
    dtype = "f16" if a.dtype == np.float16 else "f32"
    problem = problem_of(m, k, n, layout=layout, dtype=dtype, accumulate_dtype=sums, products=products)
    inputs = [
        device.upload(x if x.flags.c_contiguous else x.swapaxes(-1, -2), label=label)
        for x, label in ((a, "a"), (b, "b"))
    ]
    c = device.empty(products * m * n * a.itemsize, label="c")
    operands = Operands(*inputs, c, *contiguous(m, k, n, products, layout=layout))
    made = dispatches(device, plan(device, problem), operands)
    return [prepare(device, **each._asdict()) for each in made], c


def start(variant: str) -> "RustyPy":
    """The default device, kernels without run-time checks. The variant is what sums are added up in."""
    return RustyPy(variant or "f32")


class RustyPy:
    """Our kernels by our timer."""

    def __init__(self, sums: str) -> None:
        self.sums = sums
        self.device = Device()
        self.timer = Timer(self.device)
        self.trusted: Clock | None = None

    def about(self) -> dict[str, str]:
        adapter = self.device.adapter
        return {"device": adapter.name, "backend": adapter.backend, "driver": adapter.driver}

    def product(self, a: Matrix, b: Matrix) -> "OurProduct":
        if self.sums == "f16" and a.dtype != np.float16:
            raise Unavailable("for f16 only")
        for _ in range(2):  # What was cut at a guess of the pace is cut again once the pace is known.
            work, c = launches_of(self.device, a, b, sums=self.sums)
            run(self.device, work)
            run(self.device, work)
        work, c = launches_of(self.device, a, b, sums=self.sums)
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
        largest = max(self.work, key=lambda each: each.flops)
        device.throughput.observe(largest.spec, flops=flops, seconds=sample.wall_ns / 1e9)
        if sample.gpu_ns is None and self.trusted.name == "gpu":
            self.clock = f"wall ({sample.fault})"
        return self.trusted.ns(sample) / 1e9
