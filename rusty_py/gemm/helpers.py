"""The kernels around a product: one packs operands before it, one adds up the parts of sums after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.gemm.family import forms
from rusty_py.gemm.kernel import Kernel, definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

_NUMBERS = """
alias Packed = Stored;

fn load_packed(row: u32, k: u32) -> Packed {
    return load_a(row + k * dims.a_col_stride);
}
"""

_PAIRS = """
alias Packed = u32;

fn load_packed(row: u32, k: u32) -> Packed {
    let even = f32(load_a(row + 2u * k * dims.a_col_stride));
    let odd = f32(load_a(row + min(2u * k + 1u, dims.k1 - 1u) * dims.a_col_stride));
    return pack2x16float(vec2(even, select(0.0, odd, 2u * k + 1u < dims.k1)));
}
"""


@dataclass(frozen=True)
class Pack(Kernel):
    """Rows of k one after the other: see wgsl/matmul/pack.wgsl. As if a of a product, and n not there.

    The numbers of a form of pairs are single ones here, but k counts the pairs that are made of them.
    """

    name = "pack"
    block = (32, 32)

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        form = problem.form
        return self._spec(form.stored, form.a_along_k, form.pairs)

    @cache  # noqa: B019  It has no state.
    def _spec(self, kind: Dtype, along_k: bool, pairs: bool) -> Spec:
        form = Form(along_k, a_fours=False, b_fours=False, stored=kind, result=kind, sums=kind)
        return Spec(
            "matmul/pack",
            inputs=3,
            outputs=1,
            threads=256,
            workgroup_bytes=1024 * (4 if pairs else kind.itemsize),
            definitions=definitions({}, form, edges=False, result="u32" * pairs)
            + (_PAIRS if pairs else _NUMBERS),
            variant=f"{kind.name}{' pairs' * pairs}, {'along k' if along_k else 'across'}",
        )

    def loops(self, k: int) -> int:
        return 0


@dataclass(frozen=True)
class Join(Kernel):
    """Sums of matrices: see wgsl/matmul/splitk_reduce.wgsl. As if of a product, whose k counts the parts."""

    name = "join"
    block = (1, 256)

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        form = problem.form
        # All else of the form is of a product, not of what is left of it.
        left = Form(
            a_fours=form.c_fours,
            b_fours=False,
            c_fours=form.c_fours,
            stored=form.stored,
            result=form.result,
            bias=form.bias,
            activation=form.activation,
        )
        return self._spec(left)

    @cache  # noqa: B019  It has no state.
    def _spec(self, form: Form) -> Spec:
        # The parts are f32; what is added to them is as the operands were.
        text = definitions({}, form, edges=True, terms=F32.wgsl)
        return Spec("matmul/splitk_reduce", 3, 1, threads=64, definitions=text, variant=str(form))

    def loops(self, k: int) -> int:
        return k


def variants() -> Iterator[Spec]:
    """Enough for every line of the two texts."""
    for form in forms():
        yield Join().spec(Problem(5, 3, 7, form=form))
    for kind, along_k in product((F32, F16), (True, False)):
        yield Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=kind)))
    for along_k in (True, False):
        yield Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=F16, pairs=True)))
