"""The direct kernel for outputs that are neighbours in memory, as in NHWC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd

from rusty_py import shaders
from rusty_py.ops.conv.algorithm import Epilogue, definitions
from rusty_py.ops.conv.correlation import Correlation, permuted, pieces
from rusty_py.ops.conv.direct.kernel import WEIGHTS_BYTES
from rusty_py.ops.conv.direct.window import aligned
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div, power_of_2

THREADS, MAX_LANES = 256, 8
"""Threads of a workgroup, and the threads that share the pixels, 4 outputs each.

On an H200, 3 to 64 channels at 800x600 take 0.096 ms; with 16 lanes 0.098, with 128 threads 0.127.
"""

PIXELS = (8, 4, 2, 1)
"""Neighbouring pixels of a thread: the first number whose row of the input fits."""

COLUMNS = 32
"""The widest row of the input in registers."""

_VEC4_BYTES = 16


@dataclass(frozen=True)
class OutputsKernel:
    """The constants of wgsl/conv2d/direct_channels.wgsl; `taps`, `stride` and `dilation` along the width."""

    pixels: int
    lanes: int
    weights: int
    taps: int
    stride: int
    dilation: int
    threads: int = THREADS

    @property
    def outputs(self) -> int:
        """Channels of the result of a workgroup."""
        return 4 * self.lanes

    @property
    def step(self) -> int:
        """Columns of the input between those in registers."""
        return gcd(self.stride, self.dilation)

    @property
    def columns(self) -> int:
        """Those of the input in registers."""
        return ((self.pixels - 1) * self.stride + (self.taps - 1) * self.dilation) // self.step + 1

    def spec(self, epilogue: Epilogue) -> Spec:
        return _spec(self, epilogue)

    def __str__(self) -> str:
        form = f"{self.lanes} threads with 4 outputs of {self.pixels} pixels each"
        return f"{form}, {self.taps} taps {self.stride} {self.dilation}, {self.threads} threads"


@cache
def _spec(kernel: OutputsKernel, epilogue: Epilogue) -> Spec:
    constants = {
        "THREADS": kernel.threads,
        "LANES": kernel.lanes,
        "PIXELS": kernel.pixels,
        "WEIGHTS": kernel.weights,
        "TAP_COLUMNS": kernel.taps,
        "COLUMNS_PER_OUT": kernel.stride // kernel.step,
        "COLUMNS_PER_TAP": kernel.dilation // kernel.step,
        "COLUMN_STEP": kernel.step,
    }
    return Spec(
        "conv2d/direct_channels",
        epilogue.inputs,
        1,
        kernel.threads,
        kernel.weights * _VEC4_BYTES,
        definitions=shaders.constants(constants) + definitions(epilogue, out="vec4<elem>"),
        variant=f"{kernel}, {kernel.weights} weights, {epilogue}",
    )


def kernel_of(problem: Correlation) -> OutputsKernel | None:
    """The kernel with its tile, if one suits the problem."""
    if not aligned(permuted(problem.out, (0, 1, 3, 4, 2))):
        return None
    lanes = min(MAX_LANES, power_of_2(problem.outputs // 4))
    while lanes > 1 and lanes * problem.depth * _VEC4_BYTES > WEIGHTS_BYTES:
        lanes //= 2
    if lanes * problem.depth * _VEC4_BYTES > WEIGHTS_BYTES:
        return None
    stride, dilation = problem.taps.stride[1], problem.taps.dilation[1]
    kernels = (
        OutputsKernel(pixels, lanes, WEIGHTS_BYTES // _VEC4_BYTES, problem.kernel[1], stride, dilation)
        for pixels in PIXELS
    )
    return next((each for each in kernels if each.columns <= COLUMNS), None)


def run(device: Device, problem: Correlation, kernel: OutputsKernel) -> None:
    """Launches a kernel that suits the problem."""
    spec = kernel.spec(Epilogue.of(problem))
    for each in pieces(problem, device.throughput.flops(spec)):
        height, width = each.out_size
        jobs = each.batch * height * ceil_div(width, kernel.pixels)
        groups = ceil_div(jobs, kernel.threads // kernel.lanes)
        rows = ceil_div(groups, device.limits.groups)
        parts = ceil_div(each.outputs, kernel.outputs)
        launch(
            device,
            spec,
            inputs=each.inputs,
            outputs=[each.out.buffer],
            uniforms=each.uniforms,
            workgroups=(ceil_div(groups, rows), rows, parts * each.groups),
            flops=each.flops,
        )
