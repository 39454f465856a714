"""Candidates of the tuner for a problem, ordered by predicted time, the default first."""

from dataclasses import replace

from rusty_py.dtypes import DTYPES
from rusty_py.gemm.plan import GemmPlan, machine_of
from rusty_py.gemm.problem import GemmProblem, contiguous
from rusty_py.gemm.search_space import family_of, space
from rusty_py.gemm.select import cost, untuned
from rusty_py.runtime.adapter import Adapter

MAX = 300
"""The maximum number of candidates. How many are measured depends on the time: compiling one takes some
tenths of a second."""


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
    """The default, then up to `limit` - 1 others by predicted time, one of each kind before the rest.

    Raises LimitError if no kernel fits.
    """
    machine = machine_of(adapter.type)
    default = replace(untuned(adapter.limits, adapter.type, problem), why="default")
    found = [
        choice.plan(problem, "tried")
        for choice in space(adapter.limits, problem, cpu=adapter.is_cpu)
        if choice != default.choice
    ]
    found = sorted(found, key=lambda plan: (cost(plan, machine), _atypicality(plan)))[: limit - 1]
    # The best of each kind first: the model does not distinguish kinds well.
    leaders: dict[object, GemmPlan] = {}
    for plan in found:
        leaders.setdefault(_kind(plan), plan)
    first = list(leaders.values())
    return [default, *first, *(plan for plan in found if leaders[_kind(plan)] is not plan)]


def distance(one: GemmPlan, other: GemmPlan) -> int:
    """The number of parameters in which two plans differ; 100 for kernels of different families."""
    if type(one.kernel) is not type(other.kernel):
        return 100
    x, y = vars(one.kernel), vars(other.kernel)
    others = zip(one.choice[1:], other.choice[1:], strict=True)
    return len([name for name in x if x[name] != y[name]]) + len([1 for mine, its in others if mine != its])


def _kind(plan: GemmPlan) -> object:
    """The kind of a plan for screening; split-K and packing are varied later, around the best."""
    kernel = plan.kernel
    return type(kernel), kernel.block, family_of(kernel).search_key(kernel), plan.transposed


def _atypicality(plan: GemmPlan) -> float:
    """The tie-breaker for equal predicted times: the distance from a typical kernel."""
    return family_of(plan.kernel).atypicality(plan)
