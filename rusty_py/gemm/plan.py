"""A plan of a product, and the machine whose time the model of costs predicts."""

from dataclasses import dataclass

from rusty_py.dtypes import F16
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem
from rusty_py.shapes import ceil_div

# What is left of a rate where numbers of an operand larger than the caches by far are loaded one by one.
_GATHERED_FAR, _FAR_BYTES = 0.8, 1e8


@dataclass(frozen=True)
class GemmPlan:
    """How a problem is computed: by `kernel`, its sums in `split_k` parts that another launch adds up.

    `packs` names the operands, "a" and "b", that are copied first to where the kernel reads them best.
    `transposed`: as c^T = b^T a^T, so that few columns are few rows to the kernel.
    """

    problem: GemmProblem
    kernel: KernelConfig
    split_k: int = 1
    packs: str = ""
    why: str = ""
    transposed: bool = False

    @property
    def seen(self) -> GemmProblem:
        """The problem as the kernel sees it."""
        return self.problem.transposed() if self.transposed else self.problem

    @property
    def half2(self) -> bool:
        """Whether a and b are copied to where two steps of k are one number, and added up in f16."""
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


@dataclass(frozen=True)
class CostModel:
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
    "DiscreteGPU": CostModel(132, 1.93e11, 3.5e12, 3e-6),
    "CPU": CostModel(4, 3e10, 1e10, 1e-4),  # Only the tuner asks: untuned plans take the first candidate.
    "IntegratedGPU": CostModel(16, 1.3e11, 1.5e11, 1e-5),
}


def machine_of(kind: str) -> CostModel:
    """A typical one of an adapter's type."""
    return _MACHINES.get(kind, _MACHINES["DiscreteGPU"])


def waves(plan: GemmPlan, machine: CostModel) -> int:
    """How often the kernel's workgroups fill the machine, one on each multiprocessor at a time."""
    problem, (rows, cols) = plan.seen, plan.kernel.block
    workgroups = ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.split_k
    return ceil_div(workgroups, machine.cores)


def tile_cost(plan: GemmPlan, machine: CostModel, rate: float) -> float:
    """Seconds of a kernel bound by multiplying, a tile of c on a multiprocessor at a time.

    `rate` is the kernel's where it fills the device, as a fraction of the fastest kernel's.
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
