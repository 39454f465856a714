"""How fast a kernel multiplies where it fills the device: as measured, or by a formula."""

from typing import NamedTuple

from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import Direct
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Form


class Rates(NamedTuple):
    """GFLOPS by the layouts of a and b, as BLAS names them for rows: n as they are, t transposed.

    `ones`: nn where nothing is loaded or stored by fours. `pairs`: sums in f16, both operands packed.
    """

    nn: float
    tn: float
    nt: float
    tt: float
    ones: float
    pairs: float


# On an H200 at 2048 cubed, pairs with the time that packing takes; benchmarks/blocked_rates.py measures anew,
# without it. Which of two like kernels is faster is chance: compilers lay out registers better or worse.
MEASURED = {
    Blocked(128, 256, 16, 8, 16, lanes_m=8, stages=2): Rates(49_400, 47_500, 44_300, 45_400, 46_400, 10_300),
    Blocked(128, 128, 16, 8, 8, lanes_m=16, stages=2): Rates(45_700, 48_500, 44_800, 47_500, 42_400, 68_900),
    Blocked(128, 128, 32, 8, 8, lanes_m=16, stages=1): Rates(47_300, 48_400, 45_500, 46_900, 43_000, 13_200),
    Blocked(64, 128, 32, 8, 8, 4, stages=1, slices=2): Rates(45_200, 45_000, 42_000, 42_800, 41_400, 61_800),
    # For devices with 16 KiB of workgroup memory.
    Blocked(64, 128, 16, 8, 8, 4, stages=1, slices=2): Rates(43_200, 43_600, 40_700, 42_400, 40_500, 53_600),
    Blocked(128, 64, 32, 8, 8, 4, stages=1, slices=2): Rates(44_800, 44_900, 42_700, 43_700, 39_700, 62_400),
    Blocked(128, 32, 32, 8, 4, 8, stages=1, slices=2): Rates(37_300, 38_500, 36_500, 37_700, 34_400, 49_700),
    Blocked(64, 32, 32, 8, 4, 4, stages=2, slices=2): Rates(34_000, 34_500, 33_300, 35_100, 28_800, 53_500),
}
FASTEST = 49_400

# Of what is not measured: what the measured ones have in common, relative to the formula's rate.
_USUAL = Rates(nn=0.97, tn=1.0, nt=0.93, tt=0.96, ones=0.88, pairs=1.4)
_MOST_SUMS_IN_PAIRS = 64
_TOO_MANY = 0.2

# The formula, fitted to the measured ones, b and a across k.
_FEWEST_LOADS = 1 / 64  # Of 128 x 128: larger blocks gain nothing more.
_FEWEST_READS = 1 / 4  # Of 8 x 8 sums a thread: more gain nothing, either.


def rate(kernel: Kernel, form: Form, packs: str = "", *, pairs: bool = False) -> float:
    """The rate of a kernel for such operands, those in `packs` copied, as a fraction of the fastest."""
    if not isinstance(kernel, Blocked):
        return estimate(kernel)
    rates = MEASURED.get(kernel) or _usual(kernel)
    if pairs:
        return rates.pairs / FASTEST
    along = (form.a_along_k and "a" not in packs, form.b_along_k and "b" not in packs)
    found = {
        (True, False): rates.nn,
        (False, False): rates.tn,
        (True, True): rates.nt,
        (False, True): rates.tt,
    }
    gathers = any(
        not fours and which not in packs for which, fours in (("a", form.a_fours), ("b", form.b_fours))
    )
    return found[along] / FASTEST * (rates.ones / rates.nn if gathers else 1)


def _usual(kernel: Blocked) -> Rates:
    """What to expect of a kernel that nobody has measured."""
    fraction = FASTEST * estimate(kernel)
    rates = Rates(*(fraction * each for each in _USUAL))
    crowded = kernel.thread_m * kernel.thread_n > _MOST_SUMS_IN_PAIRS
    return rates._replace(pairs=rates.pairs * _TOO_MANY) if crowded else rates


def estimate(kernel: Kernel) -> float:
    """The rate as a fraction of the fastest kernel's, within 5 % for those that were measured.

    One with 4 x 4 sums, which is not among them, was a fifth slower than this says.
    """
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
    needs = 1 + 0.2 * max(0.0, reads - _FEWEST_READS) + 12 * max(0.0, loads - _FEWEST_LOADS)
    crowded = 0.85 if sums > 128 or kernel.threads < 64 or kernel.threads > 256 else 1.0
    return crowded * (0.97 if sums > 64 else 1.0) * (1 - _waiting(kernel)) / needs


def _waiting(kernel: Blocked) -> float:
    """The part of its time for which a workgroup waits at barriers, where no other one takes its place."""
    if kernel.stages == 2:
        return 0.01 * 16 / kernel.block_k
    size = kernel.block_m * kernel.block_n / (128 * 128)
    return min(0.3, 0.17 * size**2 * (16 / kernel.block_k) ** 3)


def _direct(kernel: Direct) -> float:
    """Relative to each other only: there are no others where they are tried. By the loads of a sum."""
    own = 1 / kernel.thread_n + 1 / (kernel.thread_m * (kernel.lanes_n if kernel.sharing else 1))
    return 0.5 / (1 + 4 * own)
