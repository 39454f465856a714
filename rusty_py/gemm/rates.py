"""How fast a kernel multiplies where it fills the device: a formula for those that nobody has measured."""

from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import Direct
from rusty_py.gemm.kernel import Kernel

# Fitted to eleven kernels on an H200, f32, 4096 x 4096 x 4096, b and a across k: 48,400 GFLOPS is 1.
_FEWEST_LOADS = 1 / 64  # Of 128 x 128: larger blocks gain nothing more.
_FEWEST_READS = 1 / 4  # Of 8 x 8 sums a thread: more gain nothing, either.


def estimate(kernel: Kernel) -> float:
    """The rate of a kernel as a fraction of the fastest one's, within 5 % for those that were measured."""
    if isinstance(kernel, Blocked):
        return _blocked(kernel)
    if isinstance(kernel, Direct):
        return _direct(kernel)
    return 0.2 if kernel.name == "tile 32" else 0.1


def _blocked(kernel: Blocked) -> float:
    """By what each multiplication needs from workgroup memory, and each number there from the buffers."""
    sums = kernel.thread_m * kernel.thread_n
    reads = (kernel.thread_m + kernel.thread_n) / sums
    loads = (kernel.block_m + kernel.block_n) / (kernel.block_m * kernel.block_n)
    needs = 1 + 1.2 * max(0.0, reads - _FEWEST_READS) + 7 * max(0.0, loads - _FEWEST_LOADS)
    crowded = 0.85 if sums > 128 or kernel.threads < 64 or kernel.threads > 512 else 1.0
    return crowded * (1 - _waiting(kernel)) / needs


def _waiting(kernel: Blocked) -> float:
    """The part of its time for which a workgroup waits at barriers, where no other one takes its place."""
    if kernel.stages == 2:
        return 0.01 * 16 / kernel.block_k
    return min(0.5, 0.17 * (kernel.threads / 256) ** 4 * (16 / kernel.block_k) ** 3)


def _direct(kernel: Direct) -> float:
    """Relative to each other only: there are no others where they are tried. By the loads of a sum."""
    own = 1 / kernel.thread_n + 1 / (kernel.thread_m * (kernel.lanes_n if kernel.sharing else 1))
    return 0.5 / (1 + 4 * own)
