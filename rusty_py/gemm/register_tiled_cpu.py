"""The kernels without workgroup memory, whose loads the caches share: for CPU drivers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.family import KernelFamily
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div


@dataclass(frozen=True)
class RegisterTiledCpu(KernelConfig):
    """How a product is cut: see wgsl/matmul/register_tiled_cpu.wgsl, which says the same in capitals.

    With `sharing`, the threads along n load different rows of a and ask each other for them: that needs
    subgroups of at least `threads`, and thread_m a multiple of lanes_n. `step` and thread_n are multiples of
    4, and thread_m is one of `rows`.
    """

    thread_m: int
    thread_n: int
    lanes_m: int
    lanes_n: int
    step: int = 8
    rows: int = 4
    sharing: bool = False

    @property
    def name(self) -> str:
        return f"register-tiled {self.block[0]}x{self.block[1]}"

    @property
    def block(self) -> tuple[int, int]:
        return self.lanes_m * self.thread_m, self.lanes_n * self.thread_n

    @property
    def threads(self) -> int:
        return self.lanes_m * self.lanes_n

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        in_step = not self.sharing or limits.subgroup >= self.threads
        return in_step and has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        signature = problem.signature
        # Four rows of a at once are for threads that each have four to load.
        a_vec4 = signature.a_vec4 and (
            signature.a_along_k or self.thread_m % (4 * self.lanes_n if self.sharing else 4) == 0
        )
        # One by one, it is all the same how they lie.
        return self._spec(
            replace(
                signature,
                a_along_k=a_vec4 and signature.a_along_k,
                b_along_k=signature.b_vec4 and signature.b_along_k,
                a_vec4=a_vec4,
                accumulate_dtype=F32,
            )
        )

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, signature: Signature) -> Spec:
        a_vec4, b_vec4 = (4 if vec4 else 1 for vec4 in (signature.a_vec4, signature.b_vec4))
        constants = {
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": self.lanes_n,
            "STEP_K": self.step,
            "FMA_ROWS": self.rows,
            "SHUFFLE_LANES": self.lanes_n if self.sharing else 1,
            "A_LOAD_M": 1 if signature.a_along_k else a_vec4,
            "A_LOAD_K": a_vec4 if signature.a_along_k else 1,
            "B_LOAD_K": b_vec4 if signature.b_along_k else 1,
            "B_LOAD_N": 1 if signature.b_along_k else b_vec4,
        }
        ask = "subgroupShuffle(x, lane)" if self.sharing else "x"
        return Spec(
            "matmul/register_tiled_cpu",
            inputs=3,
            outputs=1,
            threads=self.threads,
            definitions=definitions(constants, signature, edges=True, clamps=False)
            + f"fn shuffle_lane(x: f32, lane: u32) -> f32 {{ return {ask}; }}\n",
            variant=f"{self.block[0]}x{self.block[1]}, {signature}",
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.step) + self.thread_m // self.rows


# Chosen on llvmpipe (Mesa 22.3, two cores), f32, 512 x 512 x 512: 40 GFLOP/s with four numbers a load and 24
# with one, where `tiled` with tile 16 does 0.72. Eight threads, no more: what llvmpipe runs in step.
SHARING = RegisterTiledCpu(32, 8, lanes_m=1, lanes_n=8, sharing=True)
# For adapters without subgroups of eight: 16 and 10 in the same place.
ALONE = RegisterTiledCpu(16, 8, lanes_m=1, lanes_n=8, step=4)
REGISTER_TILED_CPU = (SHARING, ALONE)

# The same with fewer sums a thread, so fewer turns of the same loops written out: the texts of those above
# take the checker's compiler minutes.
SMALL = (
    RegisterTiledCpu(8, 4, lanes_m=4, lanes_n=2, step=4, sharing=True),
    RegisterTiledCpu(8, 8, lanes_m=1, lanes_n=8, step=4),
)


def signatures() -> Iterator[Signature]:
    """Each way to read, and to store."""
    yield Signature()
    yield Signature(a_along_k=False, b_along_k=True)
    yield Signature(bias=True, activation="gelu")
    yield Signature(a_vec4=False, b_vec4=False, c_vec4=False, bias=True, activation="gelu")
    yield Signature(stored=F16, result=F16)


def _variants() -> Iterator[Spec]:
    return (
        kernel.spec(GemmProblem(5, 3, 7, signature=signature))
        for kernel in SMALL
        for signature in signatures()
    )


def _cpu_candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """Those that the driver has subgroups for."""
    for kernel in REGISTER_TILED_CPU:
        if kernel.supports(limits, problem):
            yield GemmPlan(problem, kernel, why="a CPU driver gains nothing from workgroup tiles")


def _cost(plan: GemmPlan, machine: CostModel) -> float:
    """By the loads of a sum. The rate is relative to each other only: no others are tried there."""
    kernel = plan.kernel
    assert isinstance(kernel, RegisterTiledCpu)
    own = 1 / kernel.thread_n + 1 / (kernel.thread_m * (kernel.lanes_n if kernel.sharing else 1))
    return tile_cost(plan, machine, 0.5 / (1 + 4 * own))


def _whole(kernel: RegisterTiledCpu) -> bool:
    """Eight threads, as llvmpipe runs in step, few enough sums, and as many rows for each to load."""
    shared = not kernel.sharing or kernel.thread_m % kernel.lanes_n == 0
    accumulators = kernel.thread_m * kernel.thread_n
    return kernel.threads == 8 and accumulators <= 256 and kernel.thread_m % kernel.rows == 0 and shared


FAMILY = KernelFamily(
    RegisterTiledCpu,
    {
        "thread_m": (8, 16, 32),
        "thread_n": (4, 8, 16),
        "lanes_m": (1, 2),
        "lanes_n": (4, 8),
        "step": (4, 8),
        "rows": (4, 8),
        "sharing": (False, True),
    },
    cost=_cost,
    variants=_variants,
    cpu_candidates=_cpu_candidates,
    whole=_whole,
    min_part=lambda kernel: 256,
    search_key=lambda kernel: (kernel.thread_m, kernel.thread_n),
    gpu=False,
)
