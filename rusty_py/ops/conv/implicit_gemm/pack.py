"""Copies of images and weights for implicit GEMM: contiguous channels, which are read by vec4s, and zeros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.conv.correlation import Pair
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

THREADS = 256
TILE = 2048
CHANNELS = (8, 32)
"""Of a tile: few for images with few channels."""

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Packing:
    """A copy of `size` pixels of each image: (y, x) is pixel start + (y, x) * step of x, or zero outside.

    `channels`: those of the copy, a multiple of 4. The strides are those of the copy.
    """

    start: Pair
    step: Pair
    size: Pair
    channels: int
    batch_stride: int
    group_stride: int
    row_stride: int
    column_stride: int


def pack(x: Array, packing: Packing, nbytes: int, *, operation: str) -> Buffer:
    """The copy of x, (batch, groups, channels, height, width); see wgsl/conv2d/pack.wgsl."""
    device = x.device
    out = device.empty(nbytes, label=operation)
    batch, groups, channels, height, width = x.shape
    out_height, out_width = packing.size
    tile = next((each for each in CHANNELS if each >= packing.channels), CHANNELS[-1])
    transposes = x.strides[2] != 1
    vec4 = not transposes and not any(
        each % 4 for each in (channels, x.offset, *x.strides[:2], *x.strides[3:])
    )
    uniforms = (
        *(batch, groups, channels, packing.channels, height, width, out_height * out_width, out_width),
        *(*packing.start, *packing.step, x.offset, *x.strides),
        *(packing.batch_stride, packing.group_stride, packing.row_stride, packing.column_stride),
    )
    limit = device.limits.groups
    launch(
        device,
        spec(x.kind, tile, transposes=transposes, vec4=vec4),
        inputs=[x.buffer],
        outputs=[out],
        uniforms=[word & _WORD for word in uniforms],
        workgroups=(
            min(ceil_div(out_height * out_width, TILE // tile), limit),
            min(ceil_div(packing.channels, tile), limit),
            min(batch * groups, limit),
        ),
        flops=batch * groups * out_height * out_width * packing.channels,
    )
    return out


_LOAD = """
fn load1(at: u32) -> elem {
    return x_in[at];
}

fn load4(at: u32, count: u32) -> vec4<elem> {
    var elements = vec4<elem>();
    for (var i = 0u; i < count; i++) {
        elements[i] = x_in[at + i];
    }
    return elements;
}
"""

_LOAD_VEC4 = """
fn load1(at: u32) -> elem {
    return x_in[at / 4u][at % 4u];
}

fn load4(at: u32, count: u32) -> vec4<elem> {
    return x_in[at / 4u];
}
"""


@cache
def spec(dtype: Dtype, channels: int, *, transposes: bool, vec4: bool) -> Spec:
    """The kernel with tiles of so many channels."""
    pixels = TILE // channels
    elements = channels * (pixels + 1) if transposes else 4 // dtype.itemsize
    constants = {"PIXELS": pixels, "CHANNELS": channels, "TILE": elements, "TRANSPOSES": transposes}
    text = (
        f"alias elem = {dtype.wgsl};\n"
        + shaders.constants(constants)
        + f"@group(0) @binding(0) var<storage, read> x_in: array<{'vec4<elem>' if vec4 else 'elem'}>;\n"
        "@group(0) @binding(1) var<storage, read_write> out: array<vec4<elem>>;\n"
        "@group(0) @binding(2) var<uniform> uniforms: Uniforms;\n"
    )
    return Spec(
        "conv2d/pack",
        1,
        1,
        THREADS,
        elements * dtype.itemsize,
        definitions=text + (_LOAD_VEC4 if vec4 else _LOAD),
        variant=f"{dtype.name}, {channels} channels{', transposing' * transposes}{', vec4' * vec4}",
    )


def variants() -> Iterator[Spec]:
    """All kernels."""
    for dtype, channels in product((F32, F16), CHANNELS):
        yield spec(dtype, channels, transposes=True, vec4=False)
        yield spec(dtype, channels, transposes=False, vec4=False)
        yield spec(dtype, channels, transposes=False, vec4=True)
