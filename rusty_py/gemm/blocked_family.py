"""The family of the blocked kernels: which of them products are given, and what they cost."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import log2

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.family import Family, forms, splits_of
from rusty_py.gemm.plan import Machine, Plan, tile_cost
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.rates import MEASURED, rate
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

BLOCKED = tuple(MEASURED)
"""The kernels that untuned products choose from."""


def candidates(limits: Limits, problem: Problem) -> Iterator[Plan]:
    """The kernels that fit, in every number of parts worth a thought, operands as they are and packed."""
    fitting = [kernel for kernel in BLOCKED if kernel.suits(limits, problem)]
    for kernel in fitting:
        if replace(kernel, block_k=2 * kernel.block_k) in fitting:
            continue  # That one has half the barriers, which where few workgroups run take long.
        for packs in FAMILY.packings(problem.form):
            for splits in splits_of(problem.k, kernel.block_k):
                yield Plan(problem, kernel, splits, packs, "the least by the model of costs")


def _cost(plan: Plan, machine: Machine) -> float:
    kernel = plan.kernel
    assert isinstance(kernel, Blocked)
    return tile_cost(plan, machine, rate(kernel, plan.problem.form, plan.packs, pairs=plan.pairs))


def _oddity(plan: Plan) -> float:
    """How far a kernel is from square parts for subgroups and 16 steps along k, in powers of two."""
    kernel = plan.kernel
    assert isinstance(kernel, Blocked)
    across = kernel.lanes_m**2 * kernel.thread_m / (32 * kernel.thread_n)
    return round(abs(log2(across))) + abs(kernel.block_k.bit_length() - 5)


def forms_of_pairs() -> Iterator[Form]:
    """What the blocked kernels add up in f16: both operands are packed, so that there is one layout."""
    for result, fours in product((F16, F32), (True, False)):
        yield Form(a_along_k=False, c_fours=fours, stored=F16, result=result, sums=F16, pairs=True)


SMALLEST = min(BLOCKED, key=lambda each: each.block_m * each.block_n)
FASTEST_IN_PAIRS = max(BLOCKED, key=lambda each: MEASURED[each].pairs)


def blocked() -> Iterator[tuple[Blocked, Form]]:
    """The smallest kernel in each form; the others, which share its text and take compilers long, in turn.

    Every other one loads one by one along k, the rest by fours across.
    """
    for form in forms():
        yield SMALLEST, form
    one_by_one = Form(a_along_k=True, b_along_k=True, a_fours=False, b_fours=False, c_fours=False)
    by_fours = Form(a_along_k=False, b_along_k=False)
    for i, kernel in enumerate(kernel for kernel in BLOCKED if kernel != SMALLEST):
        yield kernel, (one_by_one, by_fours)[i % 2]


def without_edges() -> Iterator[tuple[Blocked, bool]]:
    """Each kernel for whole blocks, or for less than one (True), in turn; the smallest for both."""
    for i, kernel in enumerate(BLOCKED):
        if kernel == SMALLEST:
            yield kernel, False
            yield kernel, True
        else:
            yield kernel, i % 2 == 1


def pairs() -> Iterator[tuple[Blocked, Form]]:
    """The smallest kernel in each form whose sums are pairs, and the fastest of them in one."""
    for form in forms_of_pairs():
        yield SMALLEST, form
    yield FASTEST_IN_PAIRS, next(forms_of_pairs())


def _variants() -> Iterator[Spec]:
    """With edges and without."""
    for kernel, form in (*blocked(), *pairs()):
        rows, cols = kernel.block
        yield kernel.spec(Problem(rows + 4, 16, cols + 4, form=form))
    for kernel, less in without_edges():
        rows, cols = kernel.block
        yield kernel.spec(Problem(rows - 4 * less, 16, cols - 4 * less))


FAMILY = Family(
    Blocked,
    # Powers of two: the text turns vectors by exclusive or.
    {
        "block_m": (32, 64, 128, 256),
        "block_n": (32, 64, 128, 256),
        "block_k": (8, 16, 32),
        "thread_m": (4, 8, 16),
        "thread_n": (4, 8, 16),
        "lanes_m": (2, 4, 8, 16),
        "stages": (1, 2),
        "slices": (1, 2),
    },
    cost=_cost,
    variants=_variants,
    candidates=candidates,
    whole=Blocked.whole,
    least_part=lambda kernel: int(kernel.block_k),
    search_key=lambda kernel: (kernel.thread_m, kernel.thread_n, kernel.slices),
    oddity=_oddity,
    cpu=False,  # The text is long, too long for the compilers of CPU drivers.
    packs=True,
)
