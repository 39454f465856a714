"""The kernel for gradients of weights whose result has neighbouring channels in memory, as in NHWC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.ops.conv.correlation import Pair, WeightCorrelation, permuted
from rusty_py.ops.conv.direct.window import BUSY_THREADS, aligned
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

THREADS = 128

PIXELS = (4, 2, 1)
"""Neighbouring pixels of a job: the first number whose row of the input fits."""

COLUMNS = 16
"""The widest row of the input in registers."""

MAX_TAPS = 12
"""Vec4s of dw in the registers of a thread: rows of taps, all or one."""


@dataclass(frozen=True)
class ChannelsWeightsKernel:
    """The constants of wgsl/conv2d/channels_weights.wgsl; `taps` are those of a thread."""

    planes: bool
    pixels: int
    taps: Pair
    stride: int
    dilation: int
    threads: int = THREADS

    @property
    def step(self) -> int:
        """Columns of the input between those in registers."""
        return gcd(self.stride, self.dilation)

    @property
    def columns(self) -> int:
        """Those of the input in registers."""
        return ((self.pixels - 1) * self.stride + (self.taps[1] - 1) * self.dilation) // self.step + 1

    def spec(self, kind: Dtype) -> Spec:
        return _spec(self, kind)

    def spec_for(self, problem: WeightCorrelation) -> Spec:
        return self.spec(problem.dtype)

    @property
    def lanes(self) -> int:
        """Any number of them may be launched."""
        return 1

    @property
    def busy_threads(self) -> int:
        return BUSY_THREADS

    def vectors(self, problem: WeightCorrelation) -> int:
        """Vectors of 4 channels, each of which has a thread per lane."""
        groups, outputs, *_ = problem.dw.shape
        return (groups if self.planes else outputs) // 4

    def blocks(self, problem: WeightCorrelation) -> int:
        """Blocks of taps, channels and groups."""
        groups, _, channels, height, _ = problem.dw.shape
        return height // self.taps[0] * (1 if self.planes else groups * channels)

    def jobs(self, problem: WeightCorrelation) -> int:
        """What the lanes share."""
        batch, _, _, height, width = problem.dout.shape
        return batch * height * ceil_div(width, self.pixels)

    def threads_per_lane(self, problem: WeightCorrelation) -> int:
        return self.vectors(problem) * self.blocks(problem)

    def workgroups(self, problem: WeightCorrelation, lanes: int) -> Pair:
        """In x for the vectors of so many lanes; in y for the blocks."""
        return ceil_div(lanes * self.vectors(problem), self.threads), self.blocks(problem)

    def __str__(self) -> str:
        (height, width), what = self.taps, "planes" if self.planes else "outputs"
        form = f"4 {what}, {height}x{width} taps in registers, {self.pixels} pixels"
        return f"{form}, {self.stride} {self.dilation}, {self.threads} threads"


@cache
def _spec(kernel: ChannelsWeightsKernel, kind: Dtype) -> Spec:
    constants = {
        "THREADS": kernel.threads,
        "PIXELS": kernel.pixels,
        "TAP_ROWS": kernel.taps[0],
        "TAP_COLUMNS": kernel.taps[1],
        "COLUMNS_PER_OUT": kernel.stride // kernel.step,
        "COLUMNS_PER_TAP": kernel.dilation // kernel.step,
        "COLUMN_STEP": kernel.step,
    }
    x, value = ("vec4<elem>", "x_in[index / 4u]") if kernel.planes else ("elem", "vec4(x_in[index])")
    return Spec(
        "conv2d/channels_weights",
        2,
        1,
        kernel.threads,
        definitions=f"alias elem = {kind.wgsl};\n"
        + shaders.constants({"PLANES": kernel.planes, **constants})
        + f"@group(0) @binding(0) var<storage, read> x_in: array<{x}>;\n"
        + "@group(0) @binding(1) var<storage, read> g_in: array<vec4<elem>>;\n"
        + "@group(0) @binding(2) var<storage, read_write> sums_out: array<f32>;\n"
        + "@group(0) @binding(3) var<uniform> uniforms: Uniforms;\n"
        + f"fn load_x(index: u32) -> vec4<f32> {{\n    return vec4<f32>({value});\n}}\n"
        + shaders.read("conv2d/uniforms"),
        variant=f"{kernel}, {kind.name}",
    )


def kernel_of(problem: WeightCorrelation) -> ChannelsWeightsKernel | None:
    """The kernel with its tile, if one suits the problem."""
    _, outputs, channels, height, width = problem.dw.shape
    planes = outputs == channels == 1
    beside = [problem.x, problem.dout] if planes else [problem.dout]
    if width > MAX_TAPS or not all(aligned(_last(each, planes=planes)) for each in beside):
        return None
    taps = (height if height * width <= MAX_TAPS else 1, width)
    stride, dilation = problem.taps.stride[1], problem.taps.dilation[1]
    kernels = (ChannelsWeightsKernel(planes, pixels, taps, stride, dilation) for pixels in PIXELS)
    return next((each for each in kernels if each.columns <= COLUMNS), None)


def _last(x: Array, *, planes: bool) -> Array:
    """With the axis of the planes, or of the outputs, at the end."""
    return permuted(x, (0, 2, 3, 4, 1) if planes else (0, 1, 3, 4, 2))
