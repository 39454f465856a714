"""The kernel for gradients of weights with windows of the input in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import Dtype
from rusty_py.ops.conv.correlation import Pair, WeightCorrelation
from rusty_py.ops.conv.direct.window import Window, aligned, job_count, load_text
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

LARGE_BLOCK = 64
"""Elements of dw in registers with which few threads run at a time."""

BUSY_THREADS, LARGE_BLOCK_THREADS = 1 << 17, 1 << 15
"""So many keep a GPU busy, with blocks of up to LARGE_BLOCK elements and with larger ones.

On an H200, 3 to 64 channels at 800x600 in blocks of 108 take 0.109, 0.121 and 0.140 ms with 2^15, 2^16 and
2^17 threads; 32 images of 224x224, 7x7 taps, in blocks of 56 take 0.498, 0.562 and 0.357 ms.
"""


@dataclass(frozen=True)
class WeightsKernel:
    """The kernel with its tile: a block of dw is that of `outputs` outputs and the taps of a window."""

    window: Window
    outputs: int
    lanes: int
    shares: int

    def spec(self, kind: Dtype, *, g_vec4: bool) -> Spec:
        return _spec(self, kind, g_vec4)

    def spec_for(self, problem: WeightCorrelation) -> Spec:
        return self.spec(problem.dtype, g_vec4=aligned(problem.dout))

    @property
    def busy_threads(self) -> int:
        height, width = self.window.taps
        block = self.outputs * self.window.channels * height * width
        return LARGE_BLOCK_THREADS if block > LARGE_BLOCK else BUSY_THREADS

    def jobs(self, problem: WeightCorrelation) -> int:
        """What the lanes share."""
        batch, _, _, height, width = problem.dout.shape
        return job_count((height, width), batch, self.window.out_rows)

    def blocks(self, problem: WeightCorrelation) -> int:
        """The blocks that dw consists of."""
        groups, outputs, channels, height, width = problem.dw.shape
        taps = (height // self.window.taps[0]) * (width // self.window.taps[1])
        return groups * ceil_div(outputs, self.outputs) * (channels // self.window.channels) * taps

    def threads_per_lane(self, problem: WeightCorrelation) -> int:
        return self.blocks(problem)

    def workgroups(self, problem: WeightCorrelation, lanes: int) -> Pair:
        """In x for so many lanes, a multiple of `lanes`; in y for the blocks."""
        return lanes // self.lanes, ceil_div(self.blocks(problem), self.shares)

    def __str__(self) -> str:
        return f"{self.outputs} outputs, {self.window}, {self.lanes} lanes, {self.shares} blocks"


@cache
def _spec(kernel: WeightsKernel, kind: Dtype, g_vec4: bool) -> Spec:
    threads = kernel.lanes * kernel.shares
    constants = {"THREADS": threads, "LANES": kernel.lanes, "OUTPUTS": kernel.outputs, "G_VEC4": g_vec4}
    x, g = ("vec4<elem>" if vec4 else "elem" for vec4 in (kernel.window.vec4, g_vec4))
    return Spec(
        "conv2d/window_weights",
        2,
        1,
        threads,
        definitions=f"alias elem = {kind.wgsl};\n"
        + shaders.constants(constants)
        + f"@group(0) @binding(0) var<storage, read> x_in: array<{x}>;\n"
        + f"@group(0) @binding(1) var<storage, read> g_in: array<{g}>;\n"
        + "@group(0) @binding(2) var<storage, read_write> sums_out: array<f32>;\n"
        + "@group(0) @binding(3) var<uniform> uniforms: Uniforms;\n"
        + load_text("x", "x_in", vec4=kernel.window.vec4)
        + load_text("g", "g_in", vec4=g_vec4)
        + kernel.window.text
        + "".join(shaders.read(f"conv2d/{name}") for name in ("pixels", "uniforms")),
        variant=f"{kernel}, {'vec4' if g_vec4 else 'scalar'} gradients, {kind.name}",
    )
