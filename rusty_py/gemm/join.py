"""The kernel that adds up the parts of split sums."""

from dataclasses import dataclass
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import F32
from rusty_py.gemm.kernel import Kernel, definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec


@dataclass(frozen=True)
class Join(Kernel):
    """Sums of matrices: see wgsl/matmul/join.wgsl. As if of a product, whose k counts the parts."""

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
        return Spec("matmul/join", 3, 1, threads=64, definitions=text, variant=str(form))

    def loops(self, k: int) -> int:
        return k
