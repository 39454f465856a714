"""The family of blocked kernels: candidates for a problem, cost model, search space."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import log2

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.family import KernelFamily, signatures, split_k_choices
from rusty_py.gemm.measured_rates import MEASURED, rate
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

BLOCKED = tuple(MEASURED)
"""The candidates for untuned problems."""


def candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """All supported kernels, with every useful split_k, with and without packed operands."""
    fitting = [kernel for kernel in BLOCKED if kernel.supports(limits, problem)]
    for kernel in fitting:
        if replace(kernel, block_k=2 * kernel.block_k) in fitting:
            continue  # Twice the block_k halves the barriers, which matters when few workgroups run.
        for packs in FAMILY.packings(problem.signature):
            for split_k in split_k_choices(problem, kernel.block_k):
                yield GemmPlan(problem, kernel, split_k, packs, "lowest predicted time")


def _cpu_candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """For problems that no kernel for CPU drivers supports: one text for all sizes, with clamped loads."""
    if problem.signature.blocked_only:
        clamped = replace(problem, signature=replace(problem.signature, clamps=True))
        if QUICK.supports(limits, clamped):
            yield GemmPlan(clamped, QUICK, why="the kernel with compound axes that compiles fastest")


def _cost(plan: GemmPlan, machine: CostModel) -> float:
    kernel = plan.kernel
    assert isinstance(kernel, Blocked)
    return tile_cost(plan, machine, rate(kernel, plan.problem.signature, plan.packs, half2=plan.half2))


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
FASTEST_HALF2 = max(BLOCKED, key=lambda each: MEASURED[each].half2)


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
    cpu=False,  # CPU drivers take too long to compile it.
    packs=True,
    compound=True,
)
