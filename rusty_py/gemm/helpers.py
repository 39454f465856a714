"""Auxiliary GEMM kernels: packing of operands, and the split-K reduction."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from rusty_py import shaders
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.gemm.family import signatures
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

_NUMBERS = """
alias Packed = Stored;

fn load_packed(row: u32, k: u32) -> Packed {
    return load_a(row + k * uniforms.a_col_stride);
}
"""

_HALF2 = """
alias Packed = u32;

fn load_packed(row: u32, k: u32) -> Packed {
    let even = f32(load_a(row + 2u * k * uniforms.a_col_stride));
    let odd = f32(load_a(row + min(2u * k + 1u, uniforms.k1 - 1u) * uniforms.a_col_stride));
    return pack2x16float(vec2(even, select(0.0, odd, 2u * k + 1u < uniforms.k1)));
}
"""


@dataclass(frozen=True)
class Pack(KernelConfig):
    """Packs an operand: see wgsl/matmul/pack.wgsl. The operand is a of a problem with n = 1.

    With half2 the input is scalar f16, and k counts the half2 that are written.
    """

    name = "pack"
    block = (32, 32)

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        signature = problem.signature
        return self._spec(signature.stored, signature.a_along_k, signature.half2)

    @cache  # noqa: B019  It has no state.
    def _spec(self, kind: Dtype, along_k: bool, half2: bool) -> Spec:
        signature = Signature(
            along_k, a_vec4=False, b_vec4=False, stored=kind, result=kind, accumulate_dtype=kind
        )
        return Spec(
            "matmul/pack",
            inputs=3,
            outputs=1,
            threads=256,
            workgroup_bytes=1024 * (4 if half2 else kind.itemsize),
            definitions=definitions({}, signature, edges=False, result="u32" * half2)
            + (_HALF2 if half2 else _NUMBERS),
            variant=f"{kind.name}{' half2' * half2}, {'along k' if along_k else 'across'}",
        )

    def loops(self, k: int) -> int:
        return 0


@dataclass(frozen=True)
class SplitKReduce(KernelConfig):
    """The split-K reduction: see wgsl/matmul/splitk_reduce.wgsl. A problem whose k counts the parts."""

    name = "split-K reduce"
    compound = True
    block = (1, 256)

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: GemmProblem) -> Spec:
        signature = problem.signature
        # The layouts of a and b do not matter to the reduction.
        reduced = Signature(
            a_vec4=signature.c_vec4,
            b_vec4=False,
            c_vec4=signature.c_vec4,
            stored=signature.stored,
            result=signature.result,
            bias=signature.bias,
            activation=signature.activation,
            compound="".join(axis for axis in signature.compound if axis in "mn"),
            bias_by_row=signature.bias_by_row,
            bias_batched=signature.bias_batched,
        )
        return self._spec(reduced)

    @cache  # noqa: B019  It has no state.
    def _spec(self, signature: Signature) -> Spec:
        # The partial sums are f32; the bias has the dtype of the operands.
        text = definitions({}, signature, edges=True, terms=F32.wgsl, compound=True)
        text += shaders.read("matmul/compound") + shaders.read("matmul/compound_c")
        return Spec("matmul/splitk_reduce", 3, 1, threads=64, definitions=text, variant=str(signature))

    def loops(self, k: int) -> int:
        return k


def variants() -> Iterator[Spec]:
    """Specs that cover every line of both kernels."""
    for signature in signatures():
        yield SplitKReduce().spec(GemmProblem(5, 3, 7, signature=signature))
    for kind, along_k in product((F32, F16), (True, False)):
        yield Pack().spec(GemmProblem(5, 3, 1, signature=Signature(along_k, stored=kind)))
    for along_k in (True, False):
        yield Pack().spec(GemmProblem(5, 3, 1, signature=Signature(along_k, stored=F16, half2=True)))
