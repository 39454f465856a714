"""What every kernel of the product has in common, and the definitions that their texts ask for."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from rusty_py import shaders
from rusty_py.gemm.access import access
from rusty_py.gemm.problem import ACTIVATIONS, Form, Problem
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

# max and clamp lose NaN, so that its bits decide.
_FINISH = """
fn epilogue(x: vec4<f32>) -> vec4<f32> {{
    let is_nan = (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
    return select({activation}, x, is_nan);
}}
"""


class Kernel(Protocol):
    """A family of kernels with its sizes chosen. Hashable."""

    packs_along_k: ClassVar[bool] = False
    """Whether it reads a copied operand best along k, rather than across."""
    accumulates_f16: ClassVar[bool] = False
    """Whether it can add up in packed f16, two steps of k at a time, from copies of both operands."""

    @property
    def name(self) -> str:
        """What tables and plans call it."""

    @property
    def block(self) -> tuple[int, int]:
        """The rows and columns of c that one workgroup computes."""

    def suits(self, limits: Limits, problem: Problem) -> bool:
        """Whether it computes the problem, and the device has room for it."""

    def spec(self, problem: Problem) -> Spec:
        """What is compiled for it."""

    def loops(self, k: int) -> int:
        """The turns that the loops of one thread take for a sum of k."""


def has_room(limits: Limits, spec: Spec) -> bool:
    """Whether a device of these limits can hold a workgroup of `spec`."""
    return spec.threads <= limits.threads and spec.workgroup_bytes <= limits.workgroup_bytes


def definitions(
    constants: Mapping[str, int],
    form: Form,
    *,
    edges: bool,
    clamps: bool | None = None,
    terms: str = "",
    loaded: str = "",
    held: str = "",
    result: str = "",
    words: bool = False,
) -> str:
    """Constants, types and functions for a text that takes `dims.wgsl`, and how it reads and writes.

    `edges` says that workgroups may reach over the edge of c, and `clamps`, where it differs, that loads may
    leave the buffers. WGSL types, where they are not the form's: `terms`, of a and b; `loaded`, what they are
    loaded as; `held`, what is multiplied; `result`, of c. `words` is for `access`.
    """
    flags = {
        "A_ALONG_K": form.a_along_k,
        "B_ALONG_K": form.b_along_k,
        "EDGES": edges,
        "CLAMP_LOADS": edges if clamps is None else clamps,
        "HAS_EPILOGUE": form.bias or bool(form.activation),
        "A_VEC4": form.a_fours,
        "B_VEC4": form.b_fours,
        "C_VEC4": form.c_fours,
    }
    types = {
        "Stored": terms or form.stored.wgsl,
        "Bias": form.stored.wgsl,
        "Loaded": loaded or form.sums.wgsl,
        "TileElement": held or form.sums.wgsl,
        "Result": result or form.result.wgsl,
    }
    return "".join(
        [
            *(f"const {name}: u32 = {value}u;\n" for name, value in constants.items()),
            *(f"const {name}: bool = {str(value).lower()};\n" for name, value in flags.items()),
            *(f"alias {name} = {wgsl};\n" for name, wgsl in types.items()),
            _FINISH.format(activation=ACTIVATIONS.get(form.activation, "x")),
            shaders.read("matmul/dims"),
            "@group(0) @binding(4) var<uniform> dims: Dims;\n",
            access(form, words=words),
        ]
    )
