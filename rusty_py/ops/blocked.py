"""The blocked kernels of the matrix product: which there are, and which of them suits a product."""

from dataclasses import dataclass
from functools import cached_property

from rusty_py.device import Device
from rusty_py.dtypes import F32
from rusty_py.kernel import Spec

BLOCK_K = 16
FEW_WORKGROUPS = 120
"""Fewer leave part of a large GPU idle: then a smaller block is the better one."""


@dataclass(frozen=True)
class Blocking:
    """How a product is cut: see wgsl/matmul/blocked.wgsl, which says the same in capitals."""

    block_m: int
    block_n: int
    thread_m: int
    thread_n: int
    lanes_m: int
    stages: int

    @property
    def threads(self) -> int:
        return self.block_m * self.block_n // (self.thread_m * self.thread_n)

    @cached_property
    def spec(self) -> Spec:
        constants = {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": BLOCK_K,
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": 32 // self.lanes_m,
            "STAGES": self.stages,
            "THREADS": self.threads,
        }
        return Spec(
            "matmul/blocked",
            inputs=2,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=self.stages * BLOCK_K * (self.block_m + self.block_n) * F32.itemsize,
            definitions="".join(f"const {name}: u32 = {value}u;\n" for name, value in constants.items()),
            variant=f"{self.block_m}x{self.block_n}",
        )

    def suits(self, device: Device, m: int, k: int, n: int) -> bool:
        """Whether it divides the product, and the device has room for it."""
        spec, limits = self.spec, device.limits
        divides = m % self.block_m == n % self.block_n == k % BLOCK_K == 0
        return divides and spec.threads <= limits.threads and spec.workgroup_bytes <= limits.workgroup_bytes

    def workgroups(self, m: int, n: int) -> int:
        return m * n // (self.block_m * self.block_n)


# The largest first. Chosen on an H200: benchmarks/RESULTS.md.
BLOCKINGS = (
    Blocking(128, 128, thread_m=8, thread_n=8, lanes_m=16, stages=2),
    Blocking(64, 128, thread_m=8, thread_n=8, lanes_m=8, stages=2),
    Blocking(64, 32, thread_m=4, thread_n=4, lanes_m=16, stages=1),
)
BY_SPEC = {each.spec: each for each in BLOCKINGS}


def choose(device: Device, m: int, k: int, n: int) -> Spec | None:
    """The largest blocking that keeps the device busy, else the smallest that divides the product, if any."""
    fitting = [each for each in BLOCKINGS if each.suits(device, m, k, n)]
    busy = [each for each in fitting if each.workgroups(m, n) >= FEW_WORKGROUPS]
    return (busy[0] if busy else fitting[-1]).spec if fitting else None
