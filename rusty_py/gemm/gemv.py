"""GEMV kernels: for matrix-vector products and matrices with few rows. They read b once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from math import log2

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.family import KernelFamily, split_k_choices
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.plan import CostModel, GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

SHARED_BYTES = 16384
"""The maximum workgroup memory: WebGPU's guaranteed minimum."""
SERIAL_LANES = 32
"""How many lanes' partial sums one thread adds serially: see wgsl/matmul/gemv_t.wgsl."""


@dataclass(frozen=True)
class GemvN(KernelConfig):
    """Tile sizes of wgsl/matmul/gemv_n.wgsl, for b contiguous across k (row-major)."""

    rows: int
    lanes_n: int
    lanes_k: int
    steps: int
    packs_along_k = True

    @property
    def name(self) -> str:
        return f"GEMV-N {self.rows}x{4 * self.lanes_n}x{self.chunk}"

    @property
    def block(self) -> tuple[int, int]:
        return self.rows, 4 * self.lanes_n

    @property
    def threads(self) -> int:
        return self.lanes_n * self.lanes_k

    @property
    def chunk(self) -> int:
        """The rows of b that a workgroup reads at once."""
        return 4 * self.lanes_k * self.steps

    @property
    def shared(self) -> int:
        return min(self.rows, self.lanes_k, SHARED_BYTES // (4 * F32.itemsize * self.threads))

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return not problem.signature.b_along_k and has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        return self._spec(_read_by_these(problem.signature, b_vec4=not problem.signature.b_along_k))

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, signature: Signature) -> Spec:
        constants = {
            "ROWS": self.rows,
            "LANES_N": self.lanes_n,
            "LANES_K": self.lanes_k,
            "UNROLL_K": self.steps,
            "ROUND_SUMS": self.shared,
            "THREADS": self.threads,
        }
        return Spec(
            "matmul/gemv_n",
            inputs=3,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=self.shared * self.threads * 4 * F32.itemsize,
            definitions=definitions(constants, signature, edges=True, clamps=False),
            variant=f"{self.rows}x{4 * self.lanes_n}x{self.chunk}, {signature}",
        )

    def loops(self, k: int) -> int:
        return k // self.chunk + self.steps


@dataclass(frozen=True)
class GemvT(KernelConfig):
    """Tile sizes of wgsl/matmul/gemv_t.wgsl, for b contiguous along k (column-major)."""

    rows: int
    cols: int
    lanes_n: int
    lanes_k: int
    steps: int
    packs_along_k = True

    @property
    def name(self) -> str:
        return f"GEMV-T {self.rows}x{self.lanes_n * self.cols}x{self.chunk}"

    @property
    def block(self) -> tuple[int, int]:
        return self.rows, self.lanes_n * self.cols

    @property
    def threads(self) -> int:
        return self.lanes_n * self.lanes_k

    @property
    def chunk(self) -> int:
        """The rows of b that a workgroup reads at once."""
        return 4 * self.lanes_k * self.steps

    @property
    def shared(self) -> int:
        return min(self.rows * self.cols, self.lanes_k, SHARED_BYTES // (F32.itemsize * self.threads))

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return problem.signature.b_along_k and has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        return self._spec(_read_by_these(problem.signature, b_vec4=problem.signature.b_along_k))

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, signature: Signature) -> Spec:
        constants = {
            "ROWS": self.rows,
            "COLS": self.cols,
            "LANES_N": self.lanes_n,
            "LANES_K": self.lanes_k,
            "UNROLL_K": self.steps,
            "ROUND_SUMS": self.shared,
            "SERIAL_LANES": min(self.lanes_k, SERIAL_LANES),
            "THREADS": self.threads,
        }
        return Spec(
            "matmul/gemv_t",
            inputs=3,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=self.shared * self.threads * F32.itemsize,
            definitions=definitions(constants, signature, edges=True, clamps=False),
            variant=f"{self.rows}x{self.lanes_n * self.cols}x{self.chunk}, {signature}",
        )

    def loops(self, k: int) -> int:
        halvings = max(0, (self.lanes_k // SERIAL_LANES).bit_length() - 1)
        return k // self.chunk + self.steps + self.rows * self.cols // self.shared * halvings


Gemv = GemvN | GemvT


def _read_by_these(signature: Signature, *, b_vec4: bool) -> Signature:
    """The signature as the kernels distinguish it: a is loaded as vec4 only along k, c stored as scalars."""
    a_vec4 = signature.a_vec4 and signature.a_along_k
    return replace(
        signature,
        a_along_k=a_vec4,
        a_vec4=a_vec4,
        b_vec4=signature.b_vec4 and b_vec4,
        c_vec4=False,
        accumulate_dtype=F32,
    )


# By rows, measured on an H200 (benchmarks/NOTEBOOK.md): 128 to 512 threads, with four to eight 16-byte loads
# in flight per thread.
GEMV_N = {
    1: GemvN(1, lanes_n=32, lanes_k=8, steps=2),
    2: GemvN(2, lanes_n=32, lanes_k=8, steps=2),
    4: GemvN(4, lanes_n=32, lanes_k=8, steps=2),
    8: GemvN(8, lanes_n=32, lanes_k=8, steps=1),
    16: GemvN(16, lanes_n=16, lanes_k=8, steps=1),
}
GEMV_T = {
    1: GemvT(1, cols=1, lanes_n=2, lanes_k=128, steps=4),
    2: GemvT(2, cols=4, lanes_n=8, lanes_k=32, steps=2),
    4: GemvT(4, cols=4, lanes_n=8, lanes_k=32, steps=2),
    8: GemvT(8, cols=4, lanes_n=4, lanes_k=32, steps=1),
    16: GemvT(16, cols=4, lanes_n=16, lanes_k=32, steps=1),
}
MAX_ROWS = 16


def gemv_kernel(problem: GemmProblem) -> Gemv | None:
    """The kernel with the next power of two of rows; None for more than `MAX_ROWS`."""
    if problem.m > MAX_ROWS:
        return None
    rows = 1 << (problem.m - 1).bit_length()
    return (GEMV_T if problem.signature.b_along_k else GEMV_N)[rows]


# Threads per multiprocessor that a memory-bound kernel needs to hide latency. Kernels with many rows use more
# registers, so fewer workgroups fit.
_BUSY, _BUSY_WITH_ROWS, _MANY_ROWS = 768, 480, 4
_MAX_ROWS_ON_CPU = 4  # Up to so many rows GEMV-N is the faster kernel on llvmpipe.


def candidates(kind: type[Gemv], limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    """Plans for few rows, or, transposed, for few columns, with every useful split_k."""
    for transposed in (False, True):
        seen = problem.transposed() if transposed else problem
        kernel = gemv_kernel(seen)
        if isinstance(kernel, kind) and kernel.supports(limits, seen):
            # The skinny operand is read repeatedly: pack it unless it is contiguous along k.
            packs = "" if seen.signature.a_along_k or seen.m == 1 else "b" if transposed else "a"
            for split_k in split_k_choices(problem, kernel.chunk):
                yield GemmPlan(problem, kernel, split_k, packs, "memory-bound GEMV", transposed)


def _cpu_gemv_n(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    return (each for each in candidates(GemvN, limits, problem) if each.seen.m <= _MAX_ROWS_ON_CPU)


def cost(plan: GemmPlan, machine: CostModel) -> float:
    """The time to read a and b by the kernel's measured rate.

    Without one: at the bandwidth of memory or, if longer, multiplying at a quarter of the fastest kernel's
    rate.
    """
    problem, kernel = plan.seen, plan.kernel
    assert isinstance(kernel, GemvN | GemvT)
    rows, cols = kernel.block
    m, k, n, products = problem.m, problem.k, problem.n, problem.products
    threads = ceil_div(n, cols) * products * plan.split_k * kernel.threads
    read = (
        (m * k + ceil_div(m, rows) * k * n) * products * problem.signature.stored.itemsize / machine.bandwidth
    )
    multiplied = 8.0 * rows * k * n * products / machine.peak
    busy = _BUSY_WITH_ROWS if rows >= _MANY_ROWS else _BUSY
    seconds = max(read, multiplied)
    gflops = machine.rates.get(kernel, {}).get("nt" if isinstance(kernel, GemvT) else "nn")
    if gflops:
        passes = ceil_div(m, rows) * products * problem.signature.stored.itemsize / F32.itemsize
        seconds = passes * 2 * rows * k * n / (gflops * 1e9)
        reached = gflops * 1e9 / 2 / rows * F32.itemsize
        if reached >= machine.bandwidth:  # Caches help only where memory limits it.
            cached = machine.profile.read_rate(int(read * machine.bandwidth)) / machine.profile.bandwidth
            seconds /= max(1.0, cached)
    return seconds * max(1.0, busy * machine.cores / threads)


def _atypicality(plan: GemmPlan) -> float:
    """The distance from the default kernel for this number of rows, in powers of two."""
    usual = gemv_kernel(plan.seen)
    if type(usual) is not type(plan.kernel):
        return 0.0
    numbers = zip(vars(plan.kernel).values(), vars(usual).values(), strict=True)
    return sum(abs(log2(mine / its)) for mine, its in numbers)


def signatures(*, b_along_k: bool) -> Iterator[Signature]:
    """Signatures that cover every line: these kernels load vec4 only along the contiguous axis."""
    yield Signature(b_along_k=b_along_k)
    yield Signature(b_along_k=b_along_k, a_vec4=False, b_vec4=False, bias=True, activation="relu")
    yield Signature(b_along_k=b_along_k, stored=F16, result=F16)


def _variants(kernels: Mapping[int, Gemv], *, b_along_k: bool) -> Iterator[Spec]:
    for kernel in kernels.values():
        for signature in signatures(b_along_k=b_along_k):
            yield kernel.spec(GemmProblem(1, 3, 7, signature=signature))


_MAX_NUMBERS = 128
"""How many values a thread may hold; more spill registers."""


def _gemv_n_whole(kernel: GemvN) -> bool:
    numbers = 4 * kernel.rows + 16 * kernel.steps
    return 64 <= kernel.threads <= 512 and numbers <= _MAX_NUMBERS


def _gemv_t_whole(kernel: GemvT) -> bool:
    numbers = kernel.rows * kernel.cols + 4 * kernel.steps * kernel.cols
    return 64 <= kernel.threads <= 512 and numbers <= _MAX_NUMBERS


# Powers of two, so that ROUND_SUMS divides the number of accumulators.
GEMV_N_FAMILY = KernelFamily(
    GemvN,
    {
        "rows": (1, 2, 4, 8, 16),
        "lanes_n": (8, 16, 32, 64),
        "lanes_k": (2, 4, 8, 16, 32),
        "steps": (1, 2, 4),
    },
    cost=cost,
    variants=partial(_variants, GEMV_N, b_along_k=False),
    candidates=partial(candidates, GemvN),
    cpu_candidates=_cpu_gemv_n,
    whole=_gemv_n_whole,
    min_part=lambda kernel: int(kernel.chunk),
    atypicality=_atypicality,
    gemv=True,
)
GEMV_T_FAMILY = KernelFamily(
    GemvT,
    {
        "rows": (1, 2, 4, 8, 16),
        "cols": (1, 2, 4, 8),
        "lanes_n": (2, 4, 8, 16, 32),
        "lanes_k": (8, 16, 32, 64, 128),
        "steps": (1, 2, 4, 8),
    },
    cost=cost,
    variants=partial(_variants, GEMV_T, b_along_k=True),
    candidates=partial(candidates, GemvT),
    whole=_gemv_t_whole,
    min_part=lambda kernel: int(kernel.chunk),
    atypicality=_atypicality,
    gemv=True,
)
