"""Textbook kernels with one thread per element: baselines for comparison."""

from dataclasses import dataclass

from rusty_py.dtypes import F32
from rusty_py.gemm.family import KernelFamily
from rusty_py.gemm.kernel import KernelConfig, has_room, uniforms_text
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

TILES = (8, 16, 32)


@dataclass(frozen=True)
class Naive(KernelConfig):
    """No tiling: each thread reads a row of a and a column of b. wgsl/matmul/naive.wgsl; float32."""

    name = "naive"
    block = (16, 16)

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return _is_plain(problem) and has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem | None = None) -> Spec:
        return Spec("matmul/naive", inputs=2, outputs=1, threads=256, definitions=uniforms_text())

    def loops(self, k: int) -> int:
        return k


@dataclass(frozen=True)
class Tiled(KernelConfig):
    """Square tiles of a and b in workgroup memory. wgsl/matmul/tiled.wgsl; float32."""

    edge: int

    @property
    def name(self) -> str:
        return f"tile {self.edge}"

    @property
    def block(self) -> tuple[int, int]:
        return self.edge, self.edge

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return _is_plain(problem) and has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem | None = None) -> Spec:
        return Spec(
            "matmul/tiled",
            inputs=2,
            outputs=1,
            threads=self.edge**2,
            workgroup_bytes=2 * self.edge**2 * F32.itemsize,
            constants=(("TILE", self.edge),),
            definitions=uniforms_text(),
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.edge) * (self.edge + 1)


def _is_plain(problem: GemmProblem) -> bool:
    signature = problem.signature
    kinds = {signature.stored, signature.accumulate_dtype, signature.result}
    return kinds == {F32} and not signature.bias and not signature.activation


def _naive_cost(plan: GemmPlan, machine: CostModel) -> float:
    return tile_cost(plan, machine, 0.1 * machine.peak / 1e9)


def _tiled_cost(plan: GemmPlan, machine: CostModel) -> float:
    return tile_cost(plan, machine, (0.2 if plan.kernel.block == (32, 32) else 0.1) * machine.peak / 1e9)


NAIVE_FAMILY = KernelFamily(Naive, {}, cost=_naive_cost, variants=lambda: iter((Naive().spec(),)))
TILED_FAMILY = KernelFamily(
    Tiled,
    {"edge": TILES},
    cost=_tiled_cost,
    variants=lambda: (Tiled(edge).spec() for edge in TILES),
)
