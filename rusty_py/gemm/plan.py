"""GEMM plans, and the cost model's description of a GPU."""

from dataclasses import dataclass
from typing import NamedTuple

from rusty_py.dtypes import F16
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem
from rusty_py.shapes import ceil_div

# The fraction of the throughput that remains with scalar loads from operands much larger than the caches.
_GATHERED_FAR, _FAR_BYTES = 0.8, 1e8


@dataclass(frozen=True)
class GemmPlan:
    """How a problem is computed: by `kernel`, with `split_k` parts along k that a second launch reduces.

    `packs` names the operands, "a" and "b", that are packed first. `transposed`: computed as c^T = b^T a^T,
    so that a matrix with few columns becomes one with few rows.
    """

    problem: GemmProblem
    kernel: KernelConfig
    split_k: int = 1
    packs: str = ""
    why: str = ""
    transposed: bool = False

    @property
    def choice(self) -> "Choice":
        """The plan without its problem and reason."""
        return Choice(self.kernel, self.split_k, self.packs, self.transposed)

    @property
    def seen(self) -> GemmProblem:
        """The problem that the kernel computes: transposed if the plan is."""
        return self.problem.transposed() if self.transposed else self.problem

    @property
    def half2(self) -> bool:
        """Whether a and b are packed as half2 (two steps of k) and accumulated in f16."""
        return (
            self.kernel.accumulates_f16
            and self.packs == "ab"
            and self.problem.signature.accumulate_dtype is F16
        )

    def __str__(self) -> str:
        how = [self.kernel.name]
        how += ["transposed"] * self.transposed
        how += [f"{' and '.join(self.packs)} packed{' as half2' * self.half2}"] if self.packs else []
        how += [f"split-K {self.split_k}"] if self.split_k > 1 else []
        return f"{self.problem} ({self.problem.signature}): {', '.join(how)}: {self.why}"


class Choice(NamedTuple):
    """How a problem can be computed: a `GemmPlan` without the problem and the reason."""

    kernel: KernelConfig
    split_k: int = 1
    packs: str = ""
    transposed: bool = False

    def plan(self, problem: GemmProblem, why: str) -> GemmPlan:
        """The plan of a problem by this choice."""
        return GemmPlan(problem, self.kernel, self.split_k, self.packs, why, self.transposed)


@dataclass(frozen=True)
class CostModel:
    """A GPU as the cost model sees it.

    `cores`: multiprocessors. `multiplications`: of the fastest kernel per core and second. `bandwidth`: bytes
    per second. `launch`: overhead of a launch in seconds.
    """

    cores: int
    multiplications: float
    bandwidth: float
    launch: float


# Typical values by adapter type: WebGPU exposes neither the number of multiprocessors nor their speed.
_MACHINES = {
    "DiscreteGPU": CostModel(132, 1.93e11, 3.5e12, 3e-6),
    "CPU": CostModel(4, 3e10, 1e10, 1e-4),  # Only for the tuner: untuned plans take the first candidate.
    "IntegratedGPU": CostModel(16, 1.3e11, 1.5e11, 1e-5),
}


def machine_of(kind: str) -> CostModel:
    """Typical values for an adapter type."""
    return _MACHINES.get(kind, _MACHINES["DiscreteGPU"])


def waves(plan: GemmPlan, machine: CostModel) -> int:
    """How often the kernel's workgroups fill the machine, one on each multiprocessor at a time."""
    problem, (rows, cols) = plan.seen, plan.kernel.block
    workgroups = ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.split_k
    return ceil_div(workgroups, machine.cores)


def tile_cost(plan: GemmPlan, machine: CostModel, rate: float) -> float:
    """Seconds of a compute-bound kernel, with one tile of c per multiprocessor at a time.

    `rate`: the kernel's throughput when it fills the device, as a fraction of the fastest kernel's.
    """
    problem, signature = plan.problem, plan.problem.signature
    rows, cols = plan.kernel.block
    multiplied = machine.multiplications * rate
    for which, size, vec4 in (("a", problem.m, signature.a_vec4), ("b", problem.n, signature.b_vec4)):
        far = size * problem.k * signature.stored.itemsize > _FAR_BYTES
        if far and not vec4 and which not in plan.packs:
            multiplied *= _GATHERED_FAR
    depth = ceil_div(problem.k, plan.split_k)
    return waves(plan, machine) * rows * cols * depth / multiplied
