"""Candidates of the tuner for a problem, ordered by predicted time, the default first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

from rusty_py.dtypes import DTYPES
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, contiguous
from rusty_py.gemm.search_space import family_name, family_of, space
from rusty_py.gemm.select import cost, untuned
from rusty_py.profile.store import load
from rusty_py.runtime.adapter import Adapter

MAX = 300
"""The maximum number of candidates. How many are measured depends on the time: compiling one takes some
tenths of a second."""
FAR = 4
"""Kernels that are predicted to take more times as long as the best are not among the first, but for the best
of each family that the model may select: its profile may be wrong."""


def problem_of(
    m: int,
    k: int,
    n: int,
    *,
    layout: str = "nn",
    dtype: str = "f32",
    accumulate_dtype: str = "f32",
    products: int = 1,
) -> GemmProblem:
    """The problem of contiguous matrices; dtypes and layout by name, as in a job of the measuring process."""
    layouts = contiguous(m, k, n, products, layout=layout)
    return GemmProblem.of(
        m, k, n, products, layouts=layouts, dtype=DTYPES[dtype], accumulate_dtype=DTYPES[accumulate_dtype]
    )


def candidates(adapter: Adapter, problem: GemmProblem, *, limit: int = MAX) -> list[GemmPlan]:
    """The default, then up to `limit` - 1 others by predicted time.

    Before the rest come one of each thread tile, of the families in turn, then one of each block.

    Raises LimitError if no kernel fits.
    """
    machine = model_of(adapter.limits, adapter.is_cpu, load(adapter))
    default = replace(untuned(machine, problem), why="default")
    found = (
        choice.plan(problem, "tried")
        for choice in space(adapter.limits, problem, cpu=adapter.is_cpu)
        if choice != default.choice
    )
    ranked = sorted(
        ((cost(plan, machine), plan) for plan in found), key=lambda each: (each[0], _atypicality(each[1]))
    )
    near = [plan for seconds, plan in ranked if seconds <= FAR * ranked[0][0]]
    near += _leaders((plan for _, plan in ranked if family_of(plan.kernel).calibrated), _family)
    best = [plan for _, plan in ranked[: limit - 1]]
    # The model does not distinguish kinds well, and which family is best depends on the machine.
    first = [*_in_turn(_leaders(near, _thread_tile)), *_leaders(best, _kind)]
    return [default, *list(dict.fromkeys([*first, *best]))[: limit - 1]]


def _leaders(plans: Iterable[GemmPlan], key: Callable[[GemmPlan], object]) -> list[GemmPlan]:
    """The first of the plans with each key."""
    leaders: dict[object, GemmPlan] = {}
    for plan in plans:
        leaders.setdefault(key(plan), plan)
    return list(leaders.values())


def _family(plan: GemmPlan) -> str:
    return family_name(plan.kernel)


def _in_turn(plans: Iterable[GemmPlan]) -> Iterator[GemmPlan]:
    """The first of each family, then the second of each, and so on."""
    families: dict[str, list[GemmPlan]] = {}
    for plan in plans:
        families.setdefault(_family(plan), []).append(plan)
    for row in zip_longest(*families.values()):
        yield from (plan for plan in row if plan)


def distance(one: GemmPlan, other: GemmPlan) -> int:
    """The number of parameters in which two plans differ; 100 for kernels of different families."""
    if type(one.kernel) is not type(other.kernel):
        return 100
    x, y = vars(one.kernel), vars(other.kernel)
    others = zip(one.choice[1:], other.choice[1:], strict=True)
    return len([name for name in x if x[name] != y[name]]) + len([1 for mine, its in others if mine != its])


def _thread_tile(plan: GemmPlan) -> object:
    """What differs most between the kernels of a family."""
    kernel = plan.kernel
    return type(kernel), family_of(kernel).search_key(kernel), plan.transposed


def _kind(plan: GemmPlan) -> object:
    """The kind of a plan for screening; split-K and packing are varied later, around the best."""
    return plan.kernel.block, _thread_tile(plan)


def _atypicality(plan: GemmPlan) -> float:
    """The tie-breaker for equal predicted times: the distance from a typical kernel."""
    return family_of(plan.kernel).atypicality(plan)
