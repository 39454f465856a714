"""Register-tiled GPU kernels without workgroup memory, for GPUs whose caches are as fast as that."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import log2

from rusty_py.dtypes import F32
from rusty_py.gemm.family import USUAL, KernelFamily, signatures, split_k_choices
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.rates import rate
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

_FETCH = """
fn fetch_{x}(index: u32) -> vec4<f32> {{
    return {loaded};
}}
"""
_VEC4 = "vec4<f32>({x}[clamp_index(index, arrayLength(&{x}))])"
_SCALAR = "vec4(load_{x}(index))"


@dataclass(frozen=True)
class RegisterTiled(KernelConfig):
    """Tile sizes of wgsl/matmul/register_tiled.wgsl; thread_m, thread_n and step are multiples of 4."""

    thread_m: int
    thread_n: int
    lanes_m: int
    lanes_n: int
    step: int = 4

    @property
    def name(self) -> str:
        rows, cols = self.block
        return f"register-tiled {rows}x{cols}x{self.step}, {self.thread_m}x{self.thread_n} per thread"

    @property
    def block(self) -> tuple[int, int]:
        return self.lanes_m * self.thread_m, self.lanes_n * self.thread_n

    @property
    def threads(self) -> int:
        return self.lanes_m * self.lanes_n

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        rows, cols = self.block
        signature = problem.signature
        edges = bool(problem.m % rows or problem.n % cols)
        small = problem.m < rows or problem.n < cols
        # The layout does not matter to scalar loads.
        read = replace(
            signature,
            a_along_k=signature.a_vec4 and signature.a_along_k,
            b_along_k=signature.b_vec4 and signature.b_along_k,
            accumulate_dtype=F32,
            clamps=False,
        )
        return self._spec(read, edges or signature.clamps, small or signature.clamps)

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, signature: Signature, edges: bool, clamps: bool) -> Spec:
        a_vec4, b_vec4 = (4 if vec4 else 1 for vec4 in (signature.a_vec4, signature.b_vec4))
        b_load_n = 1 if signature.b_along_k else b_vec4
        constants = {
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": self.lanes_n,
            "STEP_K": self.step,
            "A_LOAD_M": 1 if signature.a_along_k else a_vec4,
            "A_LOAD_K": a_vec4 if signature.a_along_k else 1,
            "B_LOAD_K": b_vec4 if signature.b_along_k else 1,
            "B_LOAD_N": b_load_n,
            "LANE_COLS": 4 if signature.c_vec4 else b_load_n,
        }
        fetches = (
            _FETCH.format(x=x, loaded=(_VEC4 if vec4 else _SCALAR).format(x=x))
            for x, vec4 in (("a", signature.a_vec4), ("b", signature.b_vec4))
        )
        return Spec(
            "matmul/register_tiled",
            inputs=3,
            outputs=1,
            threads=self.threads,
            definitions=definitions(constants, signature, edges=edges, clamps=clamps) + "".join(fetches),
            variant=f"{self.name.removeprefix('register-tiled ')}, {signature}"
            + (", small" if clamps else ", edges" * edges),
        )

    def loops(self, k: int) -> int:
        return k // self.step + self.step - 1


REGISTER_TILED = (
    RegisterTiled(4, 8, lanes_m=8, lanes_n=8, step=8),
    RegisterTiled(8, 8, lanes_m=8, lanes_n=8, step=8),
    RegisterTiled(8, 4, lanes_m=8, lanes_n=8, step=8),
    RegisterTiled(8, 8, lanes_m=16, lanes_n=8, step=8),
    RegisterTiled(4, 4, lanes_m=8, lanes_n=8, step=8),
    # A step of 4 has too few loads in flight on an H200; other GPUs may not need more.
    RegisterTiled(4, 4, lanes_m=8, lanes_n=8, step=4),
)
"""The candidates for untuned problems. Calibration measures them."""

_USUAL = USUAL | {"nn": 1.0, "nt": 0.43, "tt": 0.42, "scalar": 0.7, "f16": 1.1}
# Has the shortest unrolled loops, so it compiles fastest.
SMALLEST = RegisterTiled(4, 4, lanes_m=8, lanes_n=8)
_MIN_PART = 32


def estimate(kernel: RegisterTiled) -> float:
    """The estimated throughput as a fraction of the fastest kernel's on an H200, within 7 %.

    The terms are loads per multiplication, the loads in flight at once, and the threads of a workgroup.
    """
    loads = 1 / kernel.thread_m + 1 / kernel.thread_n
    in_flight = 1.0 if kernel.step >= 8 else 0.74
    crowded = 1 - 0.04 * log2(kernel.threads / 64)
    return 0.49 * in_flight * crowded / (1 + 1.2 * max(0.0, loads - 0.375))


def candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """All supported kernels, with every useful split_k, with and without packed operands."""
    for kernel in REGISTER_TILED:
        if kernel.supports(limits, problem):
            for packs in FAMILY.packings(problem.signature):
                for split_k in split_k_choices(problem, _MIN_PART):
                    yield GemmPlan(problem, kernel, split_k, packs, "lowest predicted time")


def _cost(plan: GemmPlan, machine: CostModel) -> float:
    kernel = plan.kernel
    assert isinstance(kernel, RegisterTiled)
    return tile_cost(plan, machine, rate(plan, machine), threads=kernel.threads)


def _atypicality(plan: GemmPlan) -> float:
    """The distance from 8 x 8 lanes and a step of 4, in powers of two."""
    kernel = plan.kernel
    assert isinstance(kernel, RegisterTiled)
    return abs(log2(kernel.lanes_m / 8)) + abs(log2(kernel.lanes_n / 8)) + log2(kernel.step / 4)


def kernels() -> Iterator[tuple[RegisterTiled, Signature]]:
    """The smallest kernel with every signature; the others, slower to compile, with one signature each.

    They alternate between scalar loads and vec4 loads across k.
    """
    for signature in signatures():
        yield SMALLEST, signature
    scalar = Signature(a_vec4=False, b_vec4=False, c_vec4=False)
    vec4 = Signature(a_along_k=False, b_along_k=False)
    for i, kernel in enumerate(kernel for kernel in REGISTER_TILED if kernel != SMALLEST):
        yield kernel, (scalar, vec4)[i % 2]


def _variants() -> Iterator[Spec]:
    """Specs with partial blocks; the smallest kernel without, too, and for less than one block."""
    for kernel, signature in kernels():
        rows, cols = kernel.block
        yield kernel.spec(GemmProblem(rows + 4, 16, cols + 4, signature=signature))
    rows, cols = SMALLEST.block
    for more in (0, -4):
        yield SMALLEST.spec(GemmProblem(rows + more, 16, cols + more))


FAMILY = KernelFamily(
    RegisterTiled,
    {
        "thread_m": (4, 8),
        "thread_n": (4, 8),
        "lanes_m": (4, 8, 16, 32),
        "lanes_n": (4, 8, 16, 32),
        "step": (4, 8),
    },
    cost=_cost,
    variants=_variants,
    candidates=candidates,
    whole=lambda kernel: 64 <= kernel.threads <= 256,
    min_part=lambda kernel: _MIN_PART,
    search_key=lambda kernel: (kernel.thread_m, kernel.thread_n),
    atypicality=_atypicality,
    calibrated=REGISTER_TILED,
    usual=_USUAL,
    terms=lambda kernel: (1 / estimate(kernel),),
    cpu=False,
    packs=True,
)
