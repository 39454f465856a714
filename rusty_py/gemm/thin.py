"""The kernels of products with few rows, matrix-vector products first of all: they stream b once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from math import log2

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.family import Family, splits_of
from rusty_py.gemm.kernel import Kernel, definitions, has_room
from rusty_py.gemm.plan import Machine, Plan
from rusty_py.gemm.problem import Form, Problem
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

SHARED_BYTES = 16384
"""The most workgroup memory: as much as WebGPU promises everywhere."""
SERIAL_LANES = 32
"""So many lanes' sums of one element are added by one thread, in a row: see wgsl/matmul/gemv_t.wgsl."""


@dataclass(frozen=True)
class Columns(Kernel):
    """How wgsl/matmul/gemv_n.wgsl cuts a product: it says the same in capitals. For b across k."""

    rows: int
    lanes_n: int
    lanes_k: int
    steps: int
    packs_along_k = True

    @property
    def name(self) -> str:
        return f"columns {self.rows}x{4 * self.lanes_n}x{self.chunk}"

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

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return not problem.form.b_along_k and has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        return self._spec(_read_by_these(problem.form, b_fours=not problem.form.b_along_k))

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, form: Form) -> Spec:
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
            definitions=definitions(constants, form, edges=True, clamps=False),
            variant=f"{self.rows}x{4 * self.lanes_n}x{self.chunk}, {form}",
        )

    def loops(self, k: int) -> int:
        return k // self.chunk + self.steps


@dataclass(frozen=True)
class Dots(Kernel):
    """How wgsl/matmul/gemv_t.wgsl cuts a product: it says the same in capitals. For b along k."""

    rows: int
    cols: int
    lanes_n: int
    lanes_k: int
    steps: int
    packs_along_k = True

    @property
    def name(self) -> str:
        return f"dots {self.rows}x{self.lanes_n * self.cols}x{self.chunk}"

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

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return problem.form.b_along_k and has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        return self._spec(_read_by_these(problem.form, b_fours=problem.form.b_along_k))

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, form: Form) -> Spec:
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
            definitions=definitions(constants, form, edges=True, clamps=False),
            variant=f"{self.rows}x{self.lanes_n * self.cols}x{self.chunk}, {form}",
        )

    def loops(self, k: int) -> int:
        halvings = max(0, (self.lanes_k // SERIAL_LANES).bit_length() - 1)
        return k // self.chunk + self.steps + self.rows * self.cols // self.shared * halvings


Thin = Columns | Dots


def _read_by_these(form: Form, *, b_fours: bool) -> Form:
    """What of a form changes their texts: a is read by fours along k, or one by one, and c stored so."""
    a_fours = form.a_fours and form.a_along_k
    return replace(
        form, a_along_k=a_fours, a_fours=a_fours, b_fours=form.b_fours and b_fours, c_fours=False, sums=F32
    )


# By rows, from an H200 (benchmarks/NOTEBOOK.md): 128 to 512 threads, and four to eight loads of 16 bytes
# on their way in each.
COLUMNS = {
    1: Columns(1, lanes_n=32, lanes_k=8, steps=2),
    2: Columns(2, lanes_n=32, lanes_k=8, steps=2),
    4: Columns(4, lanes_n=32, lanes_k=8, steps=2),
    8: Columns(8, lanes_n=32, lanes_k=8, steps=1),
    16: Columns(16, lanes_n=16, lanes_k=8, steps=1),
}
DOTS = {
    1: Dots(1, cols=1, lanes_n=2, lanes_k=128, steps=4),
    2: Dots(2, cols=4, lanes_n=8, lanes_k=32, steps=2),
    4: Dots(4, cols=4, lanes_n=8, lanes_k=32, steps=2),
    8: Dots(8, cols=4, lanes_n=4, lanes_k=32, steps=1),
    16: Dots(16, cols=4, lanes_n=16, lanes_k=32, steps=1),
}
MOST_ROWS = 16


def thin_kernel(problem: Problem) -> Thin | None:
    """The kernel with as many rows as the problem, or somewhat more; None for more than `MOST_ROWS`."""
    if problem.m > MOST_ROWS:
        return None
    rows = 1 << (problem.m - 1).bit_length()
    return (DOTS if problem.form.b_along_k else COLUMNS)[rows]


# Kernels that only wait for memory need some workgroups a multiprocessor to keep it busy; of those with many
# rows, whose threads take more registers, fewer fit.
_BUSY, _BUSY_WITH_ROWS, _MANY_ROWS = 3.0, 1.9, 4
_FEW_ON_CPU = 4  # Up to so many rows llvmpipe is faster with the kernel for few, if b lies across k.


def candidates(kind: type[Thin], limits: Limits, problem: Problem) -> Iterator[Plan]:
    """The kernels of a kind for few rows, or, turned, for few columns, in every number of parts."""
    for turned in (False, True):
        seen = problem.turned() if turned else problem
        kernel = thin_kernel(seen)
        if isinstance(kernel, kind) and kernel.suits(limits, seen):
            # The few rows are read again and again: copied, where they do not lie along k.
            packs = "" if seen.form.a_along_k or seen.m == 1 else "b" if turned else "a"
            for splits in splits_of(problem.k, kernel.chunk):
                yield Plan(problem, kernel, splits, packs, "bound by reading the larger operand", turned)


def _cpu_columns(limits: Limits, problem: Problem) -> Iterator[Plan]:
    return (each for each in candidates(Columns, limits, problem) if each.seen.m <= _FEW_ON_CPU)


def cost(plan: Plan, machine: Machine) -> float:
    """Reading a and b, unless multiplying, at a quarter of the rate of the fastest, takes longer."""
    problem, (rows, cols) = plan.seen, plan.kernel.block
    m, k, n, products = problem.m, problem.k, problem.n, problem.products
    workgroups = ceil_div(n, cols) * products * plan.splits
    read = (m * k + ceil_div(m, rows) * k * n) * products * problem.form.stored.itemsize / machine.bandwidth
    multiplied = 4.0 * rows * k * n * products / (machine.multiplications * machine.cores)
    busy = _BUSY_WITH_ROWS if rows >= _MANY_ROWS else _BUSY
    return max(read, multiplied) * max(1.0, busy * machine.cores / workgroups)


def _oddity(plan: Plan) -> float:
    """How far a kernel is from the usual one for so many rows, in powers of two."""
    usual = thin_kernel(plan.seen)
    if type(usual) is not type(plan.kernel):
        return 0.0
    numbers = zip(vars(plan.kernel).values(), vars(usual).values(), strict=True)
    return sum(abs(log2(mine / its)) for mine, its in numbers)


def forms(*, b_along_k: bool) -> Iterator[Form]:
    """Each way to read and to store: these kernels load by fours along their operands' lines only."""
    yield Form(b_along_k=b_along_k)
    yield Form(b_along_k=b_along_k, a_fours=False, b_fours=False, bias=True, activation="relu")
    yield Form(b_along_k=b_along_k, stored=F16, result=F16)


def _variants(kernels: Mapping[int, Thin], *, b_along_k: bool) -> Iterator[Spec]:
    for kernel in kernels.values():
        for form in forms(b_along_k=b_along_k):
            yield kernel.spec(Problem(1, 3, 7, form=form))


_MAX_NUMBERS = 128
"""How many numbers a thread may hold: more leave its registers."""


def _columns_whole(kernel: Columns) -> bool:
    numbers = 4 * kernel.rows + 16 * kernel.steps
    return 64 <= kernel.threads <= 512 and numbers <= _MAX_NUMBERS


def _dots_whole(kernel: Dots) -> bool:
    numbers = kernel.rows * kernel.cols + 4 * kernel.steps * kernel.cols
    return 64 <= kernel.threads <= 512 and numbers <= _MAX_NUMBERS


# Powers of two, so that what is shared at a time divides the sums.
COLUMNS_FAMILY = Family(
    Columns,
    {
        "rows": (1, 2, 4, 8, 16),
        "lanes_n": (8, 16, 32, 64),
        "lanes_k": (2, 4, 8, 16, 32),
        "steps": (1, 2, 4),
    },
    cost=cost,
    variants=partial(_variants, COLUMNS, b_along_k=False),
    candidates=partial(candidates, Columns),
    cpu_candidates=_cpu_columns,
    whole=_columns_whole,
    least_part=lambda kernel: int(kernel.chunk),
    oddity=_oddity,
    thin=True,
)
DOTS_FAMILY = Family(
    Dots,
    {
        "rows": (1, 2, 4, 8, 16),
        "cols": (1, 2, 4, 8),
        "lanes_n": (2, 4, 8, 16, 32),
        "lanes_k": (8, 16, 32, 64, 128),
        "steps": (1, 2, 4, 8),
    },
    cost=cost,
    variants=partial(_variants, DOTS, b_along_k=True),
    candidates=partial(candidates, Dots),
    whole=_dots_whole,
    least_part=lambda kernel: int(kernel.chunk),
    oddity=_oddity,
    thin=True,
)
