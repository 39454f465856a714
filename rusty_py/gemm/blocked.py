"""The kernels that share blocks of the operands in workgroup memory: for GPUs."""

from dataclasses import dataclass, replace
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import F16
from rusty_py.gemm.kernel import definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec
from rusty_py.shapes import ceil_div

SUM_DEPTH = 64
"""How many products are added up in f16, where that is asked for, before f32 takes their sum."""


@dataclass(frozen=True)
class Blocked:
    """How a product is cut: see wgsl/matmul/blocked.wgsl, which says the same in capitals."""

    block_m: int
    block_n: int
    block_k: int
    thread_m: int
    thread_n: int
    lanes_m: int
    stages: int

    @property
    def name(self) -> str:
        return f"blocked {self.block_m}x{self.block_n}x{self.block_k}"

    @property
    def block(self) -> tuple[int, int]:
        return self.block_m, self.block_n

    @property
    def threads(self) -> int:
        return self.block_m * self.block_n // (self.thread_m * self.thread_n)

    def whole(self) -> bool:
        """Whether the parts add up: whole subgroups, each of whose threads loads as much as the others."""
        lanes_n, threads = 32 // self.lanes_m, self.threads
        subgroups = self.block_m % (self.lanes_m * self.thread_m) or self.block_n % (lanes_n * self.thread_n)
        if self.block_m * self.block_n % (self.thread_m * self.thread_n) or threads % 32 or subgroups:
            return False
        lines = {self.block_k, self.block_m // 4, self.block_n // 4}
        shared = (self.block_k * self.block_m // 4, self.block_k * self.block_n // 4)
        return all(threads % line == 0 for line in lines) and all(part % threads == 0 for part in shared)

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        form = problem.form
        # Along k, neighbouring threads read single numbers, and four of them make a vector across k.
        form = replace(
            form, a_fours=form.a_fours and not form.a_along_k, b_fours=form.b_fours and not form.b_along_k
        )
        edges = bool(problem.m % self.block_m or problem.n % self.block_n)
        small = problem.m < self.block_m or problem.n < self.block_n
        return self._spec(replace(form, clamps=False), edges or form.clamps, small or form.clamps)

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, form: Form, edges: bool, clamps: bool) -> Spec:
        constants = {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": self.block_k,
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": 32 // self.lanes_m,
            "STAGES": self.stages,
            "THREADS": self.threads,
            "SUM_TILES": ceil_div(SUM_DEPTH, self.block_k) if form.sums is F16 else 0,
        }
        return Spec(
            "matmul/blocked",
            inputs=3,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=self.stages * self.block_k * (self.block_m + self.block_n) * form.sums.itemsize,
            definitions=definitions(constants, form, edges=edges, clamps=clamps, loaded=form.stored),
            variant=f"{self.block_m}x{self.block_n}x{self.block_k}, {form}"
            + (", small" if clamps else ", edges" * edges),
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.block_k)
