"""Which kernels are worth measuring for a problem: the cheapest by a model, the default first."""

from dataclasses import replace

from rusty_py.dtypes import DTYPES
from rusty_py.gemm.family import Choice
from rusty_py.gemm.plan import Plan, machine_of
from rusty_py.gemm.problem import Problem, contiguous
from rusty_py.gemm.select import cost, untuned
from rusty_py.gemm.space import family_of, space
from rusty_py.runtime.adapter import Adapter

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
    return type(kernel), kernel.block, family_of(kernel).search_key(kernel), plan.turned


def _oddity(plan: Plan) -> float:
    """What the model does not tell apart: how far a kernel is from a usual one."""
    return family_of(plan.kernel).oddity(plan)
