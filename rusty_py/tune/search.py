"""Which kernels are worth measuring for a problem: the cheapest by a model, the default first."""

from dataclasses import replace
from math import log2

from rusty_py.adapter import Adapter
from rusty_py.dtypes import DTYPES
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import Direct
from rusty_py.gemm.plan import Plan, cost, machine_of, untuned
from rusty_py.gemm.problem import Problem, contiguous
from rusty_py.gemm.space import Choice, space
from rusty_py.gemm.thin import thin_kernel

MOST = 300
"""How many a tuner may choose from. How many it measures is a question of time: a GPU's compiler takes some
tenths of a second for each."""


def problem_of(
    m: int, k: int, n: int, *, layout: str = "nn", dtype: str = "f32", sums: str = "f32", products: int = 1
) -> Problem:
    """The problem of contiguous matrices, by names: those that a job of the measuring process has."""
    places = contiguous(m, k, n, products, layout=layout)
    return Problem.of(m, k, n, products, places=places, dtype=DTYPES[dtype], sums=DTYPES[sums])


def contestants(adapter: Adapter, problem: Problem, *, most: int = MOST) -> list[Plan]:
    """The default, then the cheapest by the model, of which those come first that differ most.

    Raises LimitError where no kernel fits.
    """
    machine = machine_of(adapter.type)
    default = replace(untuned(adapter.limits, adapter.type, problem), why="default")
    found = [
        Plan(problem, choice.kernel, choice.splits, choice.packs, "tried", choice.turned)
        for choice in space(adapter.limits, problem, cpu=adapter.is_cpu)
        if choice != choice_of(default)
    ]
    found = sorted(found, key=lambda plan: (cost(plan, machine), _oddity(plan)))[: most - 1]
    # What the model cannot tell apart: the first of each kind, then the others.
    leaders: dict[object, Plan] = {}
    for plan in found:
        leaders.setdefault(_kind(plan), plan)
    first = list(leaders.values())
    return [default, *first, *(plan for plan in found if leaders[_kind(plan)] is not plan)]


def choice_of(plan: Plan) -> Choice:
    """What the tuner's file keeps of a plan."""
    return Choice(plan.kernel, plan.splits, plan.packs, plan.turned)


def distance(one: Plan, other: Plan) -> int:
    """In how many numbers two plans differ; kernels of two families in all."""
    if type(one.kernel) is not type(other.kernel):
        return 100
    x, y = vars(one.kernel), vars(other.kernel)
    others = zip(choice_of(one)[1:], choice_of(other)[1:], strict=True)
    return len([name for name in x if x[name] != y[name]]) + len([1 for mine, its in others if mine != its])


def _kind(plan: Plan) -> object:
    """What a first look must not miss. How sums are split and what is packed follows what wins there."""
    kernel = plan.kernel
    own = (kernel.thread_m, kernel.thread_n) if isinstance(kernel, Blocked | Direct) else ()
    slices = kernel.slices if isinstance(kernel, Blocked) else 1
    return type(kernel), kernel.block, own, slices, plan.turned


def _oddity(plan: Plan) -> float:
    """What the model does not tell apart, in powers of two: how far a kernel is from a usual one.

    Blocked ones from square parts for subgroups and 16 steps along k, thin ones from those of `gemm/thin.py`.
    """
    kernel = plan.kernel
    if isinstance(kernel, Blocked):
        across = kernel.lanes_m**2 * kernel.thread_m / (32 * kernel.thread_n)
        return round(abs(log2(across))) + abs(kernel.block_k.bit_length() - 5)
    usual = thin_kernel(plan.seen)
    if usual is None or type(usual) is not type(kernel):
        return 0
    return sum(
        abs(log2(mine / its)) for mine, its in zip(vars(kernel).values(), vars(usual).values(), strict=True)
    )
