"""Throughput of blocked kernels that fill the device: measured values, or an estimate by formula."""

from typing import NamedTuple

from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.problem import Signature


class Rates(NamedTuple):
    """GFLOPS by the layouts of a and b, as in BLAS: n for row-major, t for transposed.

    `ones`: nn with scalar loads. `packed`: the same with both operands packed for vec4 loads. `half2`:
    accumulation in f16, both operands packed.
    """

    nn: float
    tn: float
    nt: float
    tt: float
    ones: float
    packed: float
    half2: float


# On an H200 at 2048 cubed, `ones` and `packed` at 2047 without the packing: see benchmarks/blocked_rates.py.
# Differences between similar kernels are due to the compiler's register allocation.
MEASURED = {
    Blocked(128, 256, 16, 8, 16, lanes_m=8, stages=2): Rates(
        49_500, 47_400, 44_700, 45_300, 44_800, 49_600, 10_300
    ),
    Blocked(128, 128, 16, 8, 8, lanes_m=16, stages=2): Rates(
        45_800, 48_600, 45_000, 47_400, 42_700, 46_800, 73_000
    ),
    Blocked(128, 128, 32, 8, 8, lanes_m=16, stages=1): Rates(
        47_300, 48_300, 45_500, 46_800, 43_300, 47_400, 68_500
    ),
    Blocked(64, 128, 32, 8, 8, lanes_m=4, stages=1, slice_k=2): Rates(
        45_500, 45_500, 42_100, 42_800, 40_900, 43_700, 65_000
    ),
    Blocked(128, 64, 32, 8, 8, lanes_m=4, stages=1, slice_k=2): Rates(
        44_500, 45_500, 42_600, 43_500, 40_500, 44_500, 65_600
    ),
    Blocked(32, 256, 32, 8, 8, lanes_m=4, stages=1, slice_k=2): Rates(
        41_900, 41_700, 37_600, 37_800, 35_000, 41_700, 56_900
    ),
    Blocked(256, 32, 32, 16, 4, lanes_m=4, stages=1, slice_k=2): Rates(
        37_600, 40_600, 36_400, 38_400, 33_900, 39_800, 58_900
    ),
    Blocked(64, 64, 32, 8, 4, lanes_m=4, stages=1, slice_k=2): Rates(
        39_700, 40_000, 39_400, 39_400, 36_500, 39_600, 53_800
    ),
    Blocked(128, 32, 32, 8, 4, lanes_m=8, stages=1, slice_k=2): Rates(
        37_200, 38_600, 36_500, 38_200, 35_700, 38_100, 52_500
    ),
    Blocked(64, 32, 32, 8, 4, lanes_m=4, stages=2, slice_k=2): Rates(
        34_200, 34_700, 33_300, 34_800, 29_600, 33_300, 56_500
    ),
    Blocked(32, 32, 32, 4, 4, lanes_m=4, stages=1, slice_k=2): Rates(
        27_900, 29_400, 26_600, 27_900, 26_100, 29_400, 55_200
    ),
    # For devices whose workgroup memory is too small for a block_k of 32.
    Blocked(64, 128, 16, 8, 8, lanes_m=4, stages=1, slice_k=2): Rates(
        42_800, 43_000, 41_800, 42_900, 41_500, 43_500, 56_000
    ),
}
FASTEST = 49_500

# With compound axes, as a fraction of the above, by block: the arithmetic of addresses takes the rest. H200,
# 3x3 convolutions of 256 and of 64 channels.
_COMPOUND = {
    (128, 256, 16): 0.86,
    (128, 128, 16): 0.83,
    (128, 128, 32): 0.93,
    (32, 256, 32): 0.88,
    (64, 64, 32): 0.79,
    (128, 32, 32): 0.77,
}
_USUAL_COMPOUND = 0.74

# For kernels without measurements: typical values relative to the formula.
_USUAL = Rates(nn=0.97, tn=1.0, nt=0.93, tt=0.96, ones=0.88, packed=1.0, half2=1.4)
_MAX_SUMS_IN_PAIRS = 64
_TOO_MANY = 0.2

# The formula, fitted to the measurements with a and b contiguous across k.
_MIN_LOADS = 1 / 64  # A 128 x 128 block; larger blocks gain nothing.
_MIN_READS = 1 / 4  # 8 x 8 accumulators per thread; more gain nothing.


def rate(kernel: Blocked, signature: Signature, packs: str = "", *, half2: bool = False) -> float:
    """The throughput for such operands, those in `packs` packed, as a fraction of the fastest kernel's."""
    rates = MEASURED.get(kernel) or _usual(kernel)
    if half2:
        return rates.half2 / FASTEST
    if packs == "ab" and not signature.c_vec4:
        return rates.packed / FASTEST
    along = (signature.a_along_k and "a" not in packs, signature.b_along_k and "b" not in packs)
    found = {
        (True, False): rates.nn,
        (False, False): rates.tn,
        (True, True): rates.nt,
        (False, True): rates.tt,
    }
    gathers = any(
        not vec4 and which not in packs for which, vec4 in (("a", signature.a_vec4), ("b", signature.b_vec4))
    )
    share = 1.0
    if signature.compound:
        share = _COMPOUND.get((kernel.block_m, kernel.block_n, kernel.block_k), _USUAL_COMPOUND)
    return share * found[along] / FASTEST * (rates.ones / rates.nn if gathers else 1)


def _usual(kernel: Blocked) -> Rates:
    """Estimated rates of a kernel without measurements."""
    fraction = FASTEST * estimate(kernel)
    rates = Rates(*(fraction * each for each in _USUAL))
    crowded = kernel.thread_m * kernel.thread_n > _MAX_SUMS_IN_PAIRS
    return rates._replace(half2=rates.half2 * _TOO_MANY) if crowded else rates


def estimate(kernel: Blocked) -> float:
    """The estimated fraction of the fastest kernel's throughput, within 5 % for the measured kernels.

    The terms are reads from workgroup memory per multiplication, and loads from the buffers per element.
    """
    accumulators = kernel.thread_m * kernel.thread_n
    reads = (kernel.thread_m + kernel.thread_n) / accumulators
    loads = (kernel.block_m + kernel.block_n) / (kernel.block_m * kernel.block_n)
    needs = 1 + 0.2 * max(0.0, reads - _MIN_READS) + 12 * max(0.0, loads - _MIN_LOADS)
    crowded = 0.85 if accumulators > 128 or kernel.threads < 64 or kernel.threads > 256 else 1.0
    return crowded * (0.97 if accumulators > 64 else 1.0) * (1 - _waiting(kernel)) / needs


def _waiting(kernel: Blocked) -> float:
    """The fraction of time that a workgroup waits at barriers while no other workgroup runs."""
    if kernel.stages == 2:
        return 0.01 * 16 / kernel.block_k
    size = kernel.block_m * kernel.block_n / (128 * 128)
    return min(0.3, 0.17 * size**2 * (16 / kernel.block_k) ** 3)
