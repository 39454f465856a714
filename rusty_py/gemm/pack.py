"""The kernel that copies an operand to where the blocked kernels read it best."""

from dataclasses import dataclass
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import Dtype
from rusty_py.gemm.kernel import definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec


@dataclass(frozen=True)
class Pack:
    """Rows of k one after the other: see wgsl/matmul/pack.wgsl. As if a of a product, and n not there."""

    name = "pack"
    block = (32, 32)

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        return self._spec(problem.form.stored, problem.form.a_along_k)

    @cache  # noqa: B019  It has no state.
    def _spec(self, kind: Dtype, along_k: bool) -> Spec:
        form = Form(along_k, a_fours=False, b_fours=False, stored=kind, result=kind, sums=kind)
        return Spec(
            "matmul/pack",
            inputs=3,
            outputs=1,
            threads=256,
            workgroup_bytes=1024 * kind.itemsize,
            definitions=definitions({}, form, edges=False),
            variant=f"{kind.name}, {'along k' if along_k else 'across'}",
        )

    def loops(self, k: int) -> int:
        return 0
