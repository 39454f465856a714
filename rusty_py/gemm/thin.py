"""The kernels of products with few rows, matrix-vector products first of all: they stream b once."""

from dataclasses import dataclass, replace
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import F32
from rusty_py.gemm.kernel import definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec

SHARED_BYTES = 16384
"""The most workgroup memory: as much as WebGPU promises everywhere."""
SERIAL_LANES = 32
"""So many lanes' sums of one element are added by one thread, in a row: see wgsl/matmul/gemv_t.wgsl."""


@dataclass(frozen=True)
class Columns:
    """How wgsl/matmul/gemv_n.wgsl cuts a product: it says the same in capitals. For b across k."""

    rows: int
    lanes_n: int
    lanes_k: int
    steps: int

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
class Dots:
    """How wgsl/matmul/gemv_t.wgsl cuts a product: it says the same in capitals. For b along k."""

    rows: int
    cols: int
    lanes_n: int
    lanes_k: int
    steps: int

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
