"""Which kernels are worth measuring for a problem: the cheapest by a model, the default first."""

from dataclasses import replace
from math import log2

from rusty_py.adapter import Adapter
from rusty_py.dtypes import DTYPES, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.plan import Plan, untuned
from rusty_py.gemm.problem import Form, Place, Problem
from rusty_py.gemm.space import space
from rusty_py.shapes import ceil_div

MOST = 300
"""How many a tuner may choose from. How many it measures is a question of time: a GPU's compiler takes some
tenths of a second for each."""
LAYOUTS = ("nn", "nt", "tn", "tt")
_CORES = {"DiscreteGPU": 132, "IntegratedGPU": 16}
_STARTUP = 32  # What a workgroup takes to start and to store its result, in steps along k.
_LAUNCH = 4e6  # What another launch takes, in multiplications of one multiprocessor.
_JOIN = 100.0  # What a part of a sum takes to be written and read again, in the same.


def problem_of(
    m: int, k: int, n: int, *, layout: str = "nn", dtype: str = "f32", sums: str = "f32", products: int = 1
) -> Problem:
    """The problem of matrices that lie in a buffer without gaps; t in `layout`: column by column."""
    a, b, c = places(m, k, n, layout, products)
    stored = DTYPES[dtype]
    form = Form(
        a_along_k=a.col == 1,
        b_along_k=b.col != 1,
        a_fours=a.lies_by_fours(m, k),
        b_fours=b.lies_by_fours(k, n),
        c_fours=c.lies_by_fours(m, n),
        stored=stored,
        result=stored,
        sums=DTYPES[sums],
    )
    return Problem(m, k, n, products, form)


def places(m: int, k: int, n: int, layout: str, products: int) -> tuple[Place, Place, Place]:
    """Where a, b and c lie, each in a buffer of its own."""
    by_rows_a, by_rows_b = (each == "n" for each in layout)
    several = products > 1
    a = Place(0, m * k * several, *((k, 1) if by_rows_a else (1, m)))
    b = Place(0, k * n * several, *((n, 1) if by_rows_b else (1, k)))
    return a.settled(m, k), b.settled(k, n), Place(0, m * n * several, n, 1)


def contestants(adapter: Adapter, problem: Problem, *, most: int = MOST) -> list[Plan]:
    """The default, then the cheapest by the model, of which those come first that differ most.

    Raises LimitError where no kernel fits.
    """
    cores = _CORES.get(adapter.type, 32)
    default = replace(untuned(adapter.limits, adapter.type, problem), why="default")
    found = [
        Plan(problem, kernel, splits, why="tried")
        for kernel, splits in space(adapter.limits, problem, cpu=adapter.is_cpu)
        if (kernel, splits) != (default.kernel, default.splits)
    ]
    found = sorted(found, key=lambda plan: (cost(plan, cores), _oddity(plan.kernel)))[: most - 1]
    # What the model cannot tell apart: the first of each kind, then the others.
    leaders: dict[object, Plan] = {}
    for plan in found:
        leaders.setdefault(_kind(plan), plan)
    first = list(leaders.values())
    return [default, *first, *(plan for plan in found if leaders[_kind(plan)] is not plan)]


def distance(one: Plan, other: Plan) -> int:
    """In how many numbers two plans differ; kernels of two families in all."""
    if type(one.kernel) is not type(other.kernel):
        return 100
    x, y = vars(one.kernel), vars(other.kernel)
    return len([name for name in x if x[name] != y[name]]) + (one.splits != other.splits)


def _kind(plan: Plan) -> object:
    kernel = plan.kernel
    if not isinstance(kernel, Blocked):
        return kernel, plan.splits
    return kernel.block, kernel.thread_m, kernel.thread_n, plan.splits


def _oddity(kernel: object) -> int:
    """How far from square a subgroup's part is, and from 16 the steps along k, in powers of two."""
    if not isinstance(kernel, Blocked):
        return 0
    across = kernel.lanes_m**2 * kernel.thread_m / (32 * kernel.thread_n)
    return round(abs(log2(across))) + abs(kernel.block_k.bit_length() - 5)


def cost(plan: Plan, cores: int) -> float:
    """What a plan takes, in multiplications that the fastest kernel does meanwhile on one multiprocessor.

    Workgroups come in waves, one a multiprocessor.
    """
    problem = plan.problem
    rows, cols = plan.kernel.block
    workgroups = ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.splits
    steps = ceil_div(problem.k, plan.splits) + _STARTUP
    total = ceil_div(workgroups, cores) * rows * cols * steps / rate(plan)
    if plan.splits > 1:
        total += _LAUNCH + _JOIN * (plan.splits + 1) * problem.m * problem.n * problem.products / cores
    return total


def rate(plan: Plan) -> float:
    """How fast a kernel is when it fills the GPU, as a fraction of about the fastest.

    For blocked ones by what each multiplication needs from workgroup memory, and each number there from
    the buffers; the factors are those that give the three rates in gemm/plan.py. For others as measured
    on an H200 (benchmarks/RESULTS.md).
    """
    kernel = plan.kernel
    if not isinstance(kernel, Blocked):
        return 0.2 if kernel.name == "tile 32" else 0.1
    sums = kernel.thread_m * kernel.thread_n
    reads = (kernel.thread_m + kernel.thread_n) / sums
    loads = (kernel.block_m + kernel.block_n) / (kernel.block_m * kernel.block_n)
    crowded = 0.85 if sums > 128 or kernel.threads < 64 or kernel.threads > 512 else 1.0
    stages = 1.0 if kernel.stages == 2 else 0.97
    fours = 1.0 if plan.problem.form.stored is F32 or kernel.block_k > 8 else 0.95
    return 1.478 / (1 + 1.289 * reads + 9.96 * loads) * crowded * stages * fours
