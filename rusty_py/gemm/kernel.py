"""The interface of GEMM kernels, and the WGSL definitions injected into them."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from rusty_py import shaders
from rusty_py.activations import ACTIVATIONS
from rusty_py.gemm.access import access
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

_EPILOGUE = """
fn activation(x: f32) -> f32 {{
    return {activation};
}}
fn epilogue(x: vec4<f32>) -> vec4<f32> {{
    return vec4(activation(x.x), activation(x.y), activation(x.z), activation(x.w));
}}
"""

_COMPOUND_FIELDS = """    m_sizes: vec2<u32>,
    n_sizes: vec2<u32>,
    k_sizes: vec2<u32>,
    bias_offset: u32,
    bias_batch_stride: u32,
    a_m: vec4<u32>,
    a_k: vec4<u32>,
    b_k: vec4<u32>,
    b_n: vec4<u32>,
    c_m: vec4<u32>,
    c_n: vec4<u32>,
    line_places: vec4<u32>,
    depth_places: vec4<u32>,
"""


class KernelConfig(Protocol):
    """A GEMM kernel with its tile sizes. Hashable."""

    packs_along_k: ClassVar[bool] = False
    """Whether packed operands are contiguous along k rather than across k."""
    accumulates_f16: ClassVar[bool] = False
    """Whether it can accumulate in packed f16 (half2), from packed copies of both operands."""

    compound: ClassVar[bool] = False
    """Whether its uniforms include those of compound axes and of the bias, which problems may do without."""

    @property
    def name(self) -> str:
        """The name in tables and plans."""

    @property
    def block(self) -> tuple[int, int]:
        """The rows and columns of c that one workgroup computes."""

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        """Whether the kernel can compute the problem on a device with these limits."""

    def spec(self, problem: GemmProblem) -> Spec:
        """The shader to compile for the problem."""

    def loops(self, k: int) -> int:
        """The loop iterations of one thread for a sum over k."""


def has_room(limits: Limits, spec: Spec) -> bool:
    """Whether a workgroup of `spec` fits these limits."""
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
    compound: bool = False,
) -> str:
    """The constants, types and functions of a GEMM kernel: `uniforms.wgsl`, epilogue, loads and stores.

    `edges`: workgroups may extend beyond c. `clamps` (default `edges`): loads may exceed the buffers. WGSL
    types that override the signature's: `terms`, stored a and b; `loaded`, as loaded; `held`, as multiplied;
    `result`, stored c. `packed_loads`: see `access`. `compound`: the kernel's uniforms include those of
    compound axes and of the bias.
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
        "A_COMPOUND": "a" in signature.compound,
        "B_COMPOUND": "b" in signature.compound,
        "C_COMPOUND": signature.c_compound,
        "C_M_COMPOUND": "m" in signature.compound,
        "C_N_COMPOUND": "n" in signature.compound,
        "A_BOUNDED": signature.bounded == "a",
        "B_BOUNDED": signature.bounded == "b",
        "BIAS_BY_ROW": signature.bias and signature.bias_by_row,
    }
    types = {
        "Stored": terms or signature.stored.wgsl,
        "Bias": signature.stored.wgsl,
        "Loaded": loaded or signature.accumulate_dtype.wgsl,
        "TileElement": held or signature.accumulate_dtype.wgsl,
        "Result": result or signature.result.wgsl,
    }
    activation = ACTIVATIONS[signature.activation].wgsl if signature.activation else "x"
    return "".join(
        [
            shaders.constants({**constants, **flags}),
            *(f"alias {name} = {wgsl};\n" for name, wgsl in types.items()),
            _EPILOGUE.format(activation=activation),
            uniforms_text(compound=compound),
            "@group(0) @binding(4) var<uniform> uniforms: Uniforms;\n",
            access(signature, packed_loads=packed_loads),
        ]
    )


def uniforms_text(*, compound: bool = False) -> str:
    """The declaration of the uniforms, with or without those that compound.wgsl describes."""
    text = shaders.read("matmul/uniforms")
    return f"{text.rstrip().removesuffix('}')}{_COMPOUND_FIELDS}}}\n" if compound else text
