"""The family of blocked kernels: candidates for a problem, cost model, search space."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import log2

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.family import KernelFamily, signatures, split_k_choices
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.rates import rate
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

SMALLER = {
    Blocked(64, 128, 16, 8, 8, lanes_m=4, stages=1, slice_k=2): (64, 128, 32),
    Blocked(32, 128, 32, 8, 8, lanes_m=4, stages=1, slice_k=2): (32, 256, 32),
}
"""Kernels for devices whose workgroup memory is too small for these blocks: 32 KiB or less."""

BLOCKED = (
    Blocked(128, 256, 16, 8, 16, lanes_m=8, stages=2),
    Blocked(128, 128, 16, 8, 8, lanes_m=16, stages=2),
    Blocked(128, 128, 32, 8, 8, lanes_m=16, stages=1),
    Blocked(64, 128, 32, 8, 8, lanes_m=4, stages=1, slice_k=2),
    Blocked(128, 64, 32, 8, 8, lanes_m=4, stages=1, slice_k=2),
    Blocked(32, 256, 32, 8, 8, lanes_m=4, stages=1, slice_k=2),
    Blocked(256, 32, 32, 16, 4, lanes_m=4, stages=1, slice_k=2),
    Blocked(64, 64, 32, 8, 4, lanes_m=4, stages=1, slice_k=2),
    Blocked(128, 32, 32, 8, 4, lanes_m=8, stages=1, slice_k=2),
    Blocked(128, 32, 32, 8, 8, lanes_m=8, stages=1, slice_k=2),
    Blocked(64, 32, 32, 8, 4, lanes_m=4, stages=2, slice_k=2),
    Blocked(32, 64, 32, 8, 4, lanes_m=4, stages=1, slice_k=2),
    Blocked(32, 32, 32, 4, 4, lanes_m=4, stages=1, slice_k=2),
    *SMALLER,
)
"""The candidates for untuned problems: the fastest of each block on an H200. Calibration measures them."""

PLANES = Blocked(256, 128, 32, 16, 8, lanes_m=4, stages=1)
"""For images in planes, which are b, along k, with compound axes: 4 % faster than 128x128x32, only there.

It needs 48 KiB of workgroup memory, more than Metal has, so it is not among the variants."""


def candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """All supported kernels, with every useful split_k, with and without packed operands."""
    signature = problem.signature
    planes = "b" in signature.compound and signature.b_along_k and signature.b_vec4
    kernels = (*BLOCKED, PLANES) if planes else BLOCKED
    fitting = [kernel for kernel in kernels if kernel.supports(limits, problem)]
    blocks = {(kernel.block_m, kernel.block_n, kernel.block_k) for kernel in fitting}
    for kernel in fitting:
        if SMALLER.get(kernel) in blocks:
            continue
        for packs in FAMILY.packings(signature):
            for split_k in split_k_choices(problem, kernel.block_k):
                yield GemmPlan(problem, kernel, split_k, packs, "lowest predicted time")


def _cpu_candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """For problems that no kernel for CPU drivers supports: one text for all sizes, with clamped loads."""
    if problem.signature.blocked_only:
        clamped = replace(problem, signature=replace(problem.signature, clamps=True))
        if QUICK.supports(limits, clamped):
            yield GemmPlan(clamped, QUICK, why="the kernel with compound axes that compiles fastest")


# With compound axes, as a fraction of the rate without, by block: addresses take registers and arithmetic.
# H200, 3x3 convolutions of 256 and of 64 channels.
_COMPOUND = {
    (256, 128, 32): 0.99,
    (128, 256, 16): 0.82,
    (128, 128, 16): 0.82,
    (128, 128, 32): 0.87,
    (32, 256, 32): 0.88,
    (64, 64, 32): 0.79,
    (128, 32, 32): 0.77,
}
_USUAL_COMPOUND = 0.74

_MAX_HALF2_SUMS = 64
_TOO_MANY = 0.2
"""The fraction of the half2 rate that remains with more accumulators per thread, unless measured."""


def _cost(plan: GemmPlan, machine: CostModel) -> float:
    kernel = plan.kernel
    assert isinstance(kernel, Blocked)
    gflops = rate(plan, machine)
    if plan.problem.signature.compound:
        gflops *= _COMPOUND.get((kernel.block_m, kernel.block_n, kernel.block_k), _USUAL_COMPOUND)
    crowded = kernel.thread_m * kernel.thread_n > _MAX_HALF2_SUMS
    if plan.half2 and crowded and "half2" not in machine.rates.get(kernel, {}):
        gflops *= _TOO_MANY
    return tile_cost(plan, machine, gflops, threads=kernel.threads)


# The estimate of kernels that were not measured. Fitted to an H200, within 5 % for 12 kernels.
_COEFFICIENTS = (1.0, 0.2, 12.0)
_MIN_LOADS = 1 / 64  # A 128 x 128 block; larger blocks gain nothing.
_MIN_READS = 1 / 4  # 8 x 8 accumulators per thread; more gain nothing.


def _terms(kernel: Blocked) -> tuple[float, ...]:
    """The times of a multiplication itself, of reads from workgroup memory, and of loads from the buffers."""
    accumulators = kernel.thread_m * kernel.thread_n
    reads = (kernel.thread_m + kernel.thread_n) / accumulators
    loads = (kernel.block_m + kernel.block_n) / (kernel.block_m * kernel.block_n)
    crowded = 0.85 if accumulators > 128 or kernel.threads < 64 or kernel.threads > 256 else 1.0
    share = crowded * (0.97 if accumulators > 64 else 1.0) * (1 - _waiting(kernel))
    return 1 / share, max(0.0, reads - _MIN_READS) / share, max(0.0, loads - _MIN_LOADS) / share


def _waiting(kernel: Blocked) -> float:
    """The fraction of time that a workgroup waits at barriers while no other workgroup runs."""
    if kernel.stages == 2:
        return 0.01 * 16 / kernel.block_k
    size = kernel.block_m * kernel.block_n / (128 * 128)
    return min(0.3, 0.17 * size**2 * (16 / kernel.block_k) ** 3)


def _atypicality(plan: GemmPlan) -> float:
    """The distance from square subgroup tiles and a block_k of 16, in powers of two."""
    kernel = plan.kernel
    assert isinstance(kernel, Blocked)
    across = kernel.lanes_m**2 * kernel.thread_m / (32 * kernel.thread_n)
    return round(abs(log2(across))) + abs(kernel.block_k.bit_length() - 5)


def half2_signatures() -> Iterator[Signature]:
    """Signatures with f16 accumulation: both operands are packed, so there is only one layout."""
    for result, vec4 in product((F16, F32), (True, False)):
        yield Signature(
            a_along_k=False, c_vec4=vec4, stored=F16, result=result, accumulate_dtype=F16, half2=True
        )


SMALLEST = min(BLOCKED, key=lambda each: each.block_m * each.block_n)
# Compiles in half the time of SMALLEST on llvmpipe, and is as fast there.
QUICK = Blocked(32, 32, 8, thread_m=4, thread_n=4, lanes_m=8, stages=1)
FASTEST_HALF2 = BLOCKED[1]


def blocked() -> Iterator[tuple[Blocked, Signature]]:
    """The smallest kernel with every signature; the others, slow to compile, with one signature each.

    They alternate between scalar loads along k and vec4 loads across k.
    """
    for signature in signatures():
        yield SMALLEST, signature
    scalar = Signature(a_along_k=True, b_along_k=True, a_vec4=False, b_vec4=False, c_vec4=False)
    vec4 = Signature(a_along_k=False, b_along_k=False)
    for i, kernel in enumerate(kernel for kernel in BLOCKED if kernel != SMALLEST):
        yield kernel, (scalar, vec4)[i % 2]


def without_edges() -> Iterator[tuple[Blocked, bool]]:
    """Kernels in turn for full blocks (False) or less than one block (True); the smallest for both."""
    for i, kernel in enumerate(BLOCKED):
        if kernel == SMALLEST:
            yield kernel, False
            yield kernel, True
        else:
            yield kernel, i % 2 == 1


def half2() -> Iterator[tuple[Blocked, Signature]]:
    """The smallest kernel with every half2 signature, and the fastest half2 kernel with one."""
    for signature in half2_signatures():
        yield SMALLEST, signature
    yield FASTEST_HALF2, next(half2_signatures())


def _variants() -> Iterator[Spec]:
    """Specs with and without partial blocks."""
    for kernel, signature in (*blocked(), *half2()):
        rows, cols = kernel.block
        yield kernel.spec(GemmProblem(rows + 4, 16, cols + 4, signature=signature))
    for kernel, less in without_edges():
        rows, cols = kernel.block
        yield kernel.spec(GemmProblem(rows - 4 * less, 16, cols - 4 * less))


FAMILY = KernelFamily(
    Blocked,
    # Powers of two: the kernel swizzles by exclusive or.
    {
        "block_m": (32, 64, 128, 256),
        "block_n": (32, 64, 128, 256),
        "block_k": (8, 16, 32),
        "thread_m": (4, 8, 16),
        "thread_n": (4, 8, 16),
        "lanes_m": (2, 4, 8, 16),
        "stages": (1, 2),
        "slice_k": (1, 2),
    },
    cost=_cost,
    variants=_variants,
    candidates=candidates,
    cpu_candidates=_cpu_candidates,
    whole=Blocked.whole,
    min_part=lambda kernel: int(kernel.block_k),
    search_key=lambda kernel: (kernel.thread_m, kernel.thread_n, kernel.slice_k),
    atypicality=_atypicality,
    calibrated=BLOCKED,
    terms=_terms,
    coefficients=_COEFFICIENTS,
    cpu=False,  # CPU drivers take too long to compile it.
    packs=True,
    compound=True,
)
