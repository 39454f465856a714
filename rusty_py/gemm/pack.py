"""The kernel that copies an operand to where the blocked kernels read it best."""

from dataclasses import dataclass
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import Dtype
from rusty_py.gemm.kernel import Kernel, definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec

_NUMBERS = """
alias Number = Stored;

fn number(at: u32, k: u32) -> Number {
    return a_one(at + k * dims.a_col);
}
"""

_PAIRS = """
alias Number = u32;

fn number(at: u32, k: u32) -> Number {
    let even = f32(a_one(at + 2u * k * dims.a_col));
    let odd = f32(a_one(at + min(2u * k + 1u, dims.k1 - 1u) * dims.a_col));
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
