"""Which kernel computes a product, and in how many parts along k: a small model of what each would cost."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from rusty_py.adapter import Limits
from rusty_py.device import Device
from rusty_py.dtypes import F16, F32
from rusty_py.errors import LimitError
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import DIRECT
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.rates import MEASURED, rate
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.gemm.space import FAMILIES, packings
from rusty_py.gemm.thin import Columns, Dots, thin_kernel
from rusty_py.gemm.tuned import choice
from rusty_py.kernel import check_workgroup
from rusty_py.shapes import ceil_div

Tile = int | str
"""A tile edge (8, 16, 32), "naive" for the kernel without tiles, or "auto"."""

BLOCKED = tuple(MEASURED)
"""The blocked kernels that untuned products choose from."""

# What is left of a rate where numbers of an operand larger than the caches by far are loaded one by one.
_GATHERED_FAR, _FAR_BYTES = 0.8, 1e8
_MOST_SPLITS = 64
# Kernels that only wait for memory need some workgroups a multiprocessor to keep it busy; of those with many
# rows, whose threads take more registers, fewer fit.
_BUSY, _BUSY_WITH_ROWS, _MANY_ROWS = 3.0, 1.9, 4
_FEW_ON_CPU = 4  # Up to so many rows llvmpipe is faster with the kernel for few, if b lies across k.


@dataclass(frozen=True)
class Machine:
    """A GPU, as far as the model knows it.

    `multiplications` are those of the fastest kernel on one of its `cores` (multiprocessors) in a second,
    `bandwidth` is in bytes a second, `launch` what one takes, in seconds.
    """

    cores: int
    multiplications: float
    bandwidth: float
    launch: float


# Typical ones of the kind: WebGPU tells neither how many multiprocessors there are nor how fast they are.
_MACHINES = {
    "DiscreteGPU": Machine(132, 1.93e11, 3.5e12, 3e-6),
    "CPU": Machine(4, 3e10, 1e10, 1e-4),  # Only the tuner asks: see on_cpu.
    "IntegratedGPU": Machine(16, 1.3e11, 1.5e11, 1e-5),
}


@dataclass(frozen=True)
class Plan:
    """How a problem is computed: by `kernel`, its sums in `splits` parts that another launch adds up.

    `packs` names the operands, "a" and "b", that are copied first to where the kernel reads them best.
    `turned`: as c^T = b^T a^T, so that few columns are few rows to the kernel.
    """

    problem: Problem
    kernel: Kernel
    splits: int = 1
    packs: str = ""
    why: str = ""
    turned: bool = False

    @property
    def seen(self) -> Problem:
        """The problem as the kernel sees it."""
        return self.problem.turned() if self.turned else self.problem

    @property
    def pairs(self) -> bool:
        """Whether a and b are copied to where two steps of k are one number, and added up in f16."""
        return isinstance(self.kernel, Blocked) and self.packs == "ab" and self.problem.form.sums is F16

    def __str__(self) -> str:
        how = [self.kernel.name]
        how += ["turned"] * self.turned
        how += [f"{' and '.join(self.packs)} packed{' in pairs' * self.pairs}"] if self.packs else []
        how += [f"{self.splits} parts along k"] if self.splits > 1 else []
        return f"{self.problem} ({self.problem.form}): {', '.join(how)}: {self.why}"


def plan(device: Device, problem: Problem, *, tile: Tile = "auto") -> Plan:
    """The kernel asked for by `tile`, else what tuning found, else what the model expects to be the fastest.

    Raises LimitError for a tile there is no kernel for, or no room, and for one that cannot do what is asked.
    """
    if tile == "auto":
        tuned = choice(device, problem)
        if tuned is not None:
            return Plan(problem, tuned.kernel, tuned.splits, tuned.packs, tuned.why, tuned.turned)
        return untuned(device.limits, device.adapter.type, problem)
    kernel = kernel_of(tile)
    check_workgroup(device, kernel.spec(problem))
    if not kernel.suits(device.limits, problem):
        raise LimitError(
            f"matmul: {kernel.name} multiplies float32, without bias and activation;"
            f' asked for {problem.form}: use tile="auto"'
        )
    return Plan(problem, kernel, why="asked for")


def untuned(limits: Limits, kind: str, problem: Problem) -> Plan:
    """What the model expects to be the fastest on an adapter of that type. Raises LimitError if none fits."""
    return _chosen(limits, kind, problem)


def kernel_of(tile: Tile) -> Kernel:
    """The kernel of a tile edge, or of "naive". Raises LimitError for others."""
    if tile == "naive":
        return Naive()
    if tile not in TILES:
        tiles = ", ".join(map(str, TILES))
        raise LimitError(f"matmul: no such tile: {tile!r}; choose {tiles}, 'naive' or 'auto'")
    return Tiled(int(tile))


@lru_cache(4096)
def _chosen(limits: Limits, kind: str, problem: Problem) -> Plan:
    if kind == "CPU":
        return on_cpu(limits, problem)
    machine = machine_of(kind)
    plans = [*candidates(limits, problem), *thin_candidates(limits, problem)]
    if not plans:
        raise LimitError(f"matmul: no kernel for {problem} ({problem.form}) fits the device")
    return min(plans, key=lambda each: cost(each, machine))


def candidates(limits: Limits, problem: Problem) -> Iterator[Plan]:
    """The kernels that fit, in every number of parts worth a thought, operands as they are and packed."""
    fitting = [kernel for kernel in BLOCKED if kernel.suits(limits, problem)]
    for kernel in fitting:
        if replace(kernel, block_k=2 * kernel.block_k) in fitting:
            continue  # That one has half the barriers, which where few workgroups run take long.
        for packs in packings(FAMILIES["blocked"], problem.form):
            splits = 1
            while splits == 1 or (splits <= _MOST_SPLITS and problem.k >= splits * kernel.block_k):
                yield Plan(problem, kernel, splits, packs, "the least by the model of costs")
                splits *= 2


def on_cpu(limits: Limits, problem: Problem) -> Plan:
    """The first of the direct kernels that the driver has subgroups for, or one for thin products."""
    for each in thin_candidates(limits, problem):
        if each.seen.m <= _FEW_ON_CPU and isinstance(each.kernel, Columns):
            return each
    kernel = next(each for each in DIRECT if each.suits(limits, problem))
    return Plan(problem, kernel, why="a CPU driver has caches of its own, and no use for tiles")


def thin_candidates(limits: Limits, problem: Problem) -> Iterator[Plan]:
    """The kernels for few rows, or, turned, for few columns, in every number of parts worth a thought."""
    for turned in (False, True):
        seen = problem.turned() if turned else problem
        kernel = thin_kernel(seen)
        if kernel is not None and kernel.suits(limits, seen):
            # The few rows are read again and again: copied, where they do not lie along k.
            packs = "" if seen.form.a_along_k or seen.m == 1 else "b" if turned else "a"
            splits = 1
            while splits == 1 or (splits <= _MOST_SPLITS and problem.k >= splits * kernel.chunk):
                yield Plan(problem, kernel, splits, packs, "bound by reading the larger operand", turned)
                splits *= 2


def machine_of(kind: str) -> Machine:
    """A typical one of an adapter's type."""
    return _MACHINES.get(kind, _MACHINES["DiscreteGPU"])


def cost(plan: Plan, machine: Machine) -> float:
    """What a plan takes on the machine, in seconds, by a model."""
    seconds = (
        _thin_cost(plan, machine) if isinstance(plan.kernel, Columns | Dots) else _blocked_cost(plan, machine)
    )
    problem = plan.problem
    elements = sum({"a": problem.m, "b": problem.n}[which] * problem.k for which in plan.packs)
    moved = 2 * elements * problem.products * problem.form.stored.itemsize
    launches = 1 + len(plan.packs)
    if plan.splits > 1:
        moved += (2 * plan.splits + 1) * problem.m * problem.n * problem.products * F32.itemsize
        launches += 1
    return seconds + launches * machine.launch + moved / machine.bandwidth


def _blocked_cost(plan: Plan, machine: Machine) -> float:
    """Multiplying, a block on a multiprocessor at a time."""
    problem, kernel, form = plan.problem, plan.kernel, plan.problem.form
    rows, cols = kernel.block
    workgroups = ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.splits
    multiplied = machine.multiplications * rate(kernel, form, plan.packs, pairs=plan.pairs)
    for which, size, fours in (("a", problem.m, form.a_fours), ("b", problem.n, form.b_fours)):
        far = size * problem.k * form.stored.itemsize > _FAR_BYTES
        if far and not fours and which not in plan.packs:
            multiplied *= _GATHERED_FAR
    depth = ceil_div(problem.k, plan.splits)
    return ceil_div(workgroups, machine.cores) * rows * cols * depth / multiplied


def _thin_cost(plan: Plan, machine: Machine) -> float:
    """Reading a and b, unless multiplying, at a quarter of the rate of the fastest, takes longer."""
    problem, (rows, cols) = plan.seen, plan.kernel.block
    m, k, n, products = problem.m, problem.k, problem.n, problem.products
    workgroups = ceil_div(n, cols) * products * plan.splits
    read = (m * k + ceil_div(m, rows) * k * n) * products * problem.form.stored.itemsize / machine.bandwidth
    multiplied = 4.0 * rows * k * n * products / (machine.multiplications * machine.cores)
    busy = _BUSY_WITH_ROWS if rows >= _MANY_ROWS else _BUSY
    return max(read, multiplied) * max(1.0, busy * machine.cores / workgroups)
