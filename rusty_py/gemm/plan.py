"""Which kernel computes a product, and in how many parts along k: a small model of what each would cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rusty_py.adapter import Limits
from rusty_py.device import Device
from rusty_py.errors import LimitError
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.kernel import check_workgroup
from rusty_py.shapes import ceil_div

Tile = int | str
"""A tile edge (8, 16, 32), "naive" for the kernel without tiles, or "auto"."""

# How fast each is when it fills an H200, as a fraction of the fastest: benchmarks/RESULTS.md.
BLOCKED = {
    Blocked(128, 128, 16, thread_m=8, thread_n=8, lanes_m=16, stages=2): 1.0,
    Blocked(64, 128, 16, thread_m=8, thread_n=8, lanes_m=8, stages=2): 0.95,
    Blocked(64, 32, 16, thread_m=4, thread_n=4, lanes_m=16, stages=1): 0.7,
}
# Multiprocessors of a typical GPU of the kind: WebGPU does not tell how many there are.
_CORES = {"DiscreteGPU": 132, "IntegratedGPU": 16}
_STARTUP = 32  # What a workgroup takes to start and to store its result, in steps along k.
_LAUNCH = 4e6  # What another launch takes, in multiplications of the fastest kernel on one multiprocessor.
_MOST_SPLITS = 64


@dataclass(frozen=True)
class Plan:
    """How a problem is computed: by `kernel`, its sums in `splits` parts that a second launch adds up."""

    problem: Problem
    kernel: Kernel
    splits: int = 1
    why: str = ""

    def __str__(self) -> str:
        parts = f", {self.splits} parts along k" if self.splits > 1 else ""
        return f"{self.problem} ({self.problem.form}): {self.kernel.name}{parts}: {self.why}"


def plan(device: Device, problem: Problem, *, tile: Tile = "auto") -> Plan:
    """The kernel asked for by `tile`, else the one that the model expects to be the fastest.

    Raises LimitError for a tile there is no kernel for, or no room, and for one that cannot do what is asked.
    """
    if tile == "auto":
        return _chosen(device.limits, device.adapter.type, problem)
    kernel = kernel_of(tile)
    check_workgroup(device, kernel.spec(problem))
    if not kernel.suits(device.limits, problem):
        raise LimitError(
            f"matmul: {kernel.name} multiplies float32, without bias and activation;"
            f' asked for {problem.form}: use tile="auto"'
        )
    return Plan(problem, kernel, why="asked for")


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
    if kind == "CPU" and Naive().suits(limits, problem):
        return Plan(problem, Naive(), why="a CPU driver has caches of its own, and no use for tiles")
    cores = _CORES.get(kind, 32)
    plans = list(candidates(limits, problem))
    if not plans:
        raise LimitError(f"matmul: no kernel for {problem} ({problem.form}) fits the device")
    return min(plans, key=lambda each: cost(each, cores))


def candidates(limits: Limits, problem: Problem) -> Iterator[Plan]:
    """Every kernel that fits, in every number of parts worth a thought."""
    for kernel in BLOCKED:
        if kernel.suits(limits, problem):
            splits = 1
            while splits == 1 or (splits <= _MOST_SPLITS and problem.k >= splits * kernel.block_k):
                yield Plan(problem, kernel, splits, "the least by the model of costs")
                splits *= 2


def cost(plan: Plan, cores: int) -> float:
    """What a plan takes, in multiplications that the fastest kernel does meanwhile on one multiprocessor."""
    problem, kernel = plan.problem, plan.kernel
    rows, cols = kernel.block
    workgroups = ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.splits
    steps = ceil_div(problem.k, plan.splits) + _STARTUP
    total = ceil_div(workgroups, cores) * rows * cols * steps / BLOCKED[kernel]  # type: ignore[index]
    if plan.splits > 1:
        # The parts are written and read again: some hundred multiplications a number.
        total += _LAUNCH + 100.0 * (plan.splits + 1) * problem.m * problem.n * problem.products / cores
    return total
