"""Register-tiled kernels without workgroup memory, for CPU drivers, where the caches share loads."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.family import KernelFamily
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.plan import CostModel, GemmPlan, tile_cost
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.rates import rate
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div


@dataclass(frozen=True)
class RegisterTiledCpu(KernelConfig):
    """Tile sizes of wgsl/matmul/register_tiled_cpu.wgsl.

    With `sharing`, the threads along n load different rows of a and exchange them by subgroup shuffles: that
    needs subgroups of at least `threads`, and thread_m a multiple of lanes_n. `step` and thread_n are
    multiples of 4, thread_m is a multiple of `rows`.
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
        # A vec4 load across k takes four rows of a, so each thread needs four.
        a_vec4 = signature.a_vec4 and (
            signature.a_along_k or self.thread_m % (4 * self.lanes_n if self.sharing else 4) == 0
        )
        # The layout does not matter to scalar loads.
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
        shuffled = "subgroupShuffle(x, lane)" if self.sharing else "x"
        return Spec(
            "matmul/register_tiled_cpu",
            inputs=3,
            outputs=1,
            threads=self.threads,
            definitions=definitions(constants, signature, edges=True, clamps=False)
            + f"fn shuffle_lane(x: f32, lane: u32) -> f32 {{ return {shuffled}; }}\n",
            variant=f"{self.block[0]}x{self.block[1]}, {signature}",
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.step) + self.thread_m // self.rows


# Chosen on llvmpipe (Mesa 22.3, two cores), f32. Eight threads are one llvmpipe subgroup.
# At 512 x 512 x 512: 40 GFLOP/s with vec4 loads and 24 with scalar loads; `tiled` with tile 16 reaches 0.72.
SHARING = RegisterTiledCpu(32, 8, lanes_m=1, lanes_n=8, sharing=True)
# For 1, 4 and 16 rows by 1024 x 1024: 2.1, 2.1 and 1.2 times as fast as SHARING, 1.0, 1.9 and 2.4 times as
# fast as GEMV-N.
FLAT = RegisterTiledCpu(8, 16, lanes_m=1, lanes_n=8, sharing=True)
# For adapters without subgroups of eight: 16 and 10 GFLOP/s in the same test.
ALONE = RegisterTiledCpu(16, 8, lanes_m=1, lanes_n=8, step=4)
REGISTER_TILED_CPU = (SHARING, FLAT, ALONE)

# The same with fewer accumulators per thread, so shorter unrolled loops: the kernels above take the checker's
# compiler minutes.
SMALL = (
    RegisterTiledCpu(8, 4, lanes_m=4, lanes_n=2, step=4, sharing=True),
    RegisterTiledCpu(8, 8, lanes_m=1, lanes_n=8, step=4),
)


def signatures() -> Iterator[Signature]:
    """Signatures that cover every way to load and store."""
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
    """The kernels whose subgroup size the driver supports."""
    for kernel in REGISTER_TILED_CPU:
        if kernel.supports(limits, problem):
            yield GemmPlan(problem, kernel, why="CPU drivers gain nothing from workgroup memory")


def _terms(kernel: RegisterTiledCpu) -> tuple[float, ...]:
    """By the loads per accumulator."""
    own = 1 / kernel.thread_n + 1 / (kernel.thread_m * (kernel.lanes_n if kernel.sharing else 1))
    return (1 + 4 * own,)


def _cost(plan: GemmPlan, machine: CostModel) -> float:
    return tile_cost(plan, machine, rate(plan, machine))


def _whole(kernel: RegisterTiledCpu) -> bool:
    """One llvmpipe subgroup (8 threads), few enough accumulators, and whole rows for each thread to load."""
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
    calibrated=REGISTER_TILED_CPU,
    terms=_terms,
    search_key=lambda kernel: (kernel.thread_m, kernel.thread_n),
    gpu=False,
)
