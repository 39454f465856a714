"""What every kernel of the product has in common, and the definitions that their texts ask for."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from rusty_py import shaders
from rusty_py.gemm.access import access
from rusty_py.gemm.problem import ACTIVATIONS, GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

# max and clamp lose NaN, so that its bits decide.
_EPILOGUE = """
fn epilogue(x: vec4<f32>) -> vec4<f32> {{
    let is_nan = (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
    return select({activation}, x, is_nan);
}}
"""


class KernelConfig(Protocol):
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

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        """Whether it computes the problem, and the device has room for it."""

    def spec(self, problem: GemmProblem) -> Spec:
        """What is compiled for it."""

    def loops(self, k: int) -> int:
        """The turns that the loops of one thread take for a sum of k."""


def has_room(limits: Limits, spec: Spec) -> bool:
    """Whether a device of these limits can hold a workgroup of `spec`."""
    return spec.threads <= limits.threads and spec.workgroup_bytes <= limits.workgroup_bytes


def definitions(
    constants: Mapping[str, int],
    signature: Signature,
    *,
    edges: bool,
    clamps: bool | None = None,
    terms: str = "",
    loaded: str = "",
    held: str = "",
    result: str = "",
    packed_loads: bool = False,
) -> str:
    """Constants, types and functions for a text that takes `uniforms.wgsl`, and how it reads and writes.

    `edges` says that workgroups may reach over the edge of c, and `clamps`, where it differs, that loads may
    leave the buffers. WGSL types, where they are not the form's: `terms`, of a and b; `loaded`, what they are
    loaded as; `held`, what is multiplied; `result`, of c. `packed_loads` is for `access`.
    """
    flags = {
        "A_ALONG_K": signature.a_along_k,
        "B_ALONG_K": signature.b_along_k,
        "EDGES": edges,
        "CLAMP_LOADS": edges if clamps is None else clamps,
        "HAS_EPILOGUE": signature.bias or bool(signature.activation),
        "A_VEC4": signature.a_vec4,
        "B_VEC4": signature.b_vec4,
        "C_VEC4": signature.c_vec4,
    }
    types = {
        "Stored": terms or signature.stored.wgsl,
        "Bias": signature.stored.wgsl,
        "Loaded": loaded or signature.accumulate_dtype.wgsl,
        "TileElement": held or signature.accumulate_dtype.wgsl,
        "Result": result or signature.result.wgsl,
    }
    return "".join(
        [
            *(f"const {name}: u32 = {value}u;\n" for name, value in constants.items()),
            *(f"const {name}: bool = {str(value).lower()};\n" for name, value in flags.items()),
            *(f"alias {name} = {wgsl};\n" for name, wgsl in types.items()),
            _EPILOGUE.format(activation=ACTIVATIONS.get(signature.activation, "x")),
            shaders.read("matmul/uniforms"),
            "@group(0) @binding(4) var<uniform> uniforms: Uniforms;\n",
            access(signature, packed_loads=packed_loads),
        ]
    )
