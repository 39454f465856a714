"""GEMM plans, and the cost model's description of a GPU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rusty_py.dtypes import F16
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem
from rusty_py.profile.record import Profile
from rusty_py.runtime.adapter import Limits
from rusty_py.shapes import ceil_div

_FAR_BYTES = 1e8
"""Operands larger than this are much larger than the caches."""

_ACHIEVED = 0.83
"""The fraction of a copy's bandwidth that packing and skinny products reach."""
_TILED = 0.8
"""The fraction of that which tiles reach, whose loads wait for arithmetic."""
_BUSY_THREADS, _FEWER = 256, 0.25
"""Threads on a core with which tiles reach it, and how it falls with fewer: half as many reach 0.84 of it.

H200, 16 rows by 4096 and 8192 square."""


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


@dataclass(frozen=True, eq=False)
class CostModel:
    """A device as the cost model sees it: its profile, with the rates of kernels by class of operands.

    The classes are the layouts of a and b, "nn", "tn", "nt" and "tt", as in BLAS; "scalar", nn with scalar
    loads; "packed", the same with both operands packed for vec4 loads; "f16", nn stored in f16; and "half2",
    accumulated in f16, both operands packed. Rates are in GFLOPS, of kernels that fill the device.
    Hashed by identity.
    """

    limits: Limits
    cpu: bool
    profile: Profile
    rates: Mapping[KernelConfig, Mapping[str, float]]
    formula: Callable[[KernelConfig], float]
    """The estimated GFLOPS, class "tn", of a kernel without a measurement."""
    usual: Callable[[KernelConfig], Mapping[str, float]]
    """The rates of the classes, as fractions of that of "tn", of a kernel without a measurement."""

    def gflops(self, kernel: KernelConfig, operands: str) -> float:
        """The rate of a kernel for a class of operands, measured or estimated."""
        measured = self.rates.get(kernel, {})
        rate = measured.get(operands)
        if rate is not None:
            return rate
        usual = self.usual(kernel)
        for other in ("nn", "tn", *measured):
            if other in measured:
                return measured[other] * usual[operands] / usual[other]
        return self.formula(kernel) * usual[operands]

    @property
    def cores(self) -> int:
        return self.profile.cores

    @property
    def launch(self) -> float:
        """Seconds of a launch."""
        return self.profile.launch_s

    @property
    def bandwidth(self) -> float:
        """Bytes per second that packing, split-K reductions and skinny products move."""
        return _ACHIEVED * self.profile.bandwidth

    @cached_property
    def peak(self) -> float:
        """Flops per second of the fastest measured kernel; of arithmetic alone if none was measured."""
        rates = (self.gflops(kernel, "nn") for kernel in self.rates)
        return 1e9 * max(rates, default=self.profile.fma_gflops)


def workgroups_of(plan: GemmPlan) -> int:
    """The workgroups of the kernel."""
    problem, (rows, cols) = plan.seen, plan.kernel.block
    return ceil_div(problem.m, rows) * ceil_div(problem.n, cols) * problem.products * plan.split_k


def waves(plan: GemmPlan, machine: CostModel) -> int:
    """How often the kernel's workgroups fill the device, one on each core at a time."""
    return ceil_div(workgroups_of(plan), machine.cores)


def tile_cost(plan: GemmPlan, machine: CostModel, gflops: float, *, threads: int = 0) -> float:
    """Seconds of a kernel, with one tile of c on each core at a time: of computing, or of memory if longer.

    Where memory decides, the kernel that computes faster is still a little faster. `gflops`: the kernel's
    throughput when it fills the device. `threads`: of a workgroup, where few in all reach less bandwidth.
    """
    problem, signature = plan.problem, plan.problem.signature
    rows, cols = plan.kernel.block
    multiplied = gflops * 1e9 / 2 / machine.cores
    for which, size, vec4 in (("a", problem.m, signature.a_vec4), ("b", problem.n, signature.b_vec4)):
        far = size * problem.k * signature.stored.itemsize > _FAR_BYTES
        if far and not vec4 and which not in plan.packs:
            multiplied *= machine.profile.scattered
    depth = ceil_div(problem.k, plan.split_k)
    computed = waves(plan, machine) * rows * cols * depth / multiplied
    m, k, n = problem.m, problem.k, problem.n
    elements = (m * k + k * n) * signature.stored.itemsize + m * n * signature.result.itemsize
    moved = elements * problem.products / (_TILED * machine.bandwidth)
    if threads:
        busy = workgroups_of(plan) * threads / (_BUSY_THREADS * machine.cores)
        moved /= pow(min(1.0, busy), _FEWER)
    return max(computed, moved + 0.05 * computed)
