"""Selects the kernel, split-K and packing for a problem: by tuning results, else by a cost model."""

from dataclasses import replace
from functools import lru_cache

from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.model import cost_model
from rusty_py.gemm.plan import CostModel, GemmPlan, waves
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import FAMILIES, family_of
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.gemm.tuning_cache import choice
from rusty_py.gemm.tuning_entry import TuningEntry
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, check_workgroup

Tile = int | str
"""A tile edge (8, 16, 32), "naive" for the kernel without tiles, or "auto"."""


def plan(device: Device, problem: GemmProblem, *, tile: Tile = "auto") -> GemmPlan:
    """The kernel of `tile`; for "auto" the tuned choice, else the lowest predicted time.

    Raises LimitError for an unknown tile, one that exceeds the device's limits, or one that cannot compute
    the problem.
    """
    if tile == "auto":
        tuned = tuned_choice(device, problem)
        if tuned is not None:
            return tuned.choice.plan(problem, tuned.why)
        return untuned(cost_model(device), problem)
    kernel = kernel_of(tile)
    check_workgroup(device, kernel.spec(problem))
    if not kernel.supports(device.limits, problem):
        raise LimitError(
            f"matmul: {kernel.name} multiplies float32, without bias and activation;"
            f' got {problem.signature}: use tile="auto"'
        )
    return GemmPlan(problem, kernel, why="requested")


def tuned_choice(device: Device, problem: GemmProblem) -> TuningEntry | None:
    """The tuning entry that decides the problem, if one does."""
    entry = choice(device, problem)
    if entry is None or not carries_over(entry, cost_model(device), problem):
        return None
    return entry


def carries_over(entry: TuningEntry, machine: CostModel, problem: GemmProblem) -> bool:
    """Whether the entry is faster than the model's choice for a problem near its measured size, too.

    True at that size. Elsewhere the model must choose there what it chooses here, and both kernels must have
    the same text and as many waves of workgroups: one wave more, or blocks that cross an edge, can cost more
    than tuning gained.
    """
    m, k, n, products = entry.size
    measured = replace(problem, m=m, k=k, n=n, products=products)
    if measured == problem:
        return True
    here, there = (untuned(machine, each) for each in (problem, measured))
    if here.choice != there.choice:
        return False
    tuned_here, tuned_there = (entry.choice.plan(each, entry.why) for each in (problem, measured))

    def conditions(plan: GemmPlan) -> tuple[Spec, int]:
        return plan.kernel.spec(plan.seen), waves(plan, machine)

    return conditions(here) == conditions(there) and conditions(tuned_here) == conditions(tuned_there)


def untuned(machine: CostModel, problem: GemmProblem) -> GemmPlan:
    """The plan with the lowest predicted time on a device. Raises LimitError if none fits."""
    return _chosen(machine, problem)


def kernel_of(tile: Tile) -> KernelConfig:
    """The kernel of a tile edge, or of "naive". Raises LimitError for others."""
    if tile == "naive":
        return Naive()
    if tile not in TILES:
        tiles = ", ".join(map(str, TILES))
        raise LimitError(f"matmul: no such tile: {tile!r}; choose {tiles}, 'naive' or 'auto'")
    return Tiled(int(tile))


@lru_cache(4096)
def _chosen(machine: CostModel, problem: GemmProblem) -> GemmPlan:
    families = [each for each in FAMILIES.values() if each.compound or not problem.signature.blocked_only]

    def expense(plan: GemmPlan) -> tuple[float, bool]:
        return cost(plan, machine), plan.transposed

    plans = (
        each
        for family in families
        for each in (family.cpu_candidates if machine.cpu else family.candidates)(machine.limits, problem)
    )
    chosen = min(plans, key=expense, default=None)
    if chosen is None:
        raise LimitError(f"matmul: no kernel for {problem} ({problem.signature}) fits the device")
    return replace(chosen, why=f"{chosen.why}, {machine.profile}")


def cost(plan: GemmPlan, machine: CostModel) -> float:
    """The predicted seconds of a plan: its kernel, packing, split-K reduction and launches."""
    seconds = family_of(plan.kernel).cost(plan, machine)
    problem = plan.problem
    elements = sum({"a": problem.m, "b": problem.n}[which] * problem.k for which in plan.packs)
    moved = 2 * elements * problem.products * problem.signature.stored.itemsize
    launches = 1 + len(plan.packs)
    if plan.split_k > 1:
        moved += (2 * plan.split_k + 1) * problem.m * problem.n * problem.products * F32.itemsize
        launches += 1
    return seconds + launches * machine.launch + moved / machine.bandwidth
