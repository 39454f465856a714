"""The kernel of depthwise convolutions whose channels are neighbours in memory, as in NHWC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.ops.conv.algorithm import Epilogue, definitions
from rusty_py.ops.conv.correlation import Correlation, Pair, permuted, pieces
from rusty_py.ops.conv.direct.window import aligned
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

TILES = ((2, 4), (1, 4), (1, 2), (1, 1))
"""Rows and columns of the result of a thread: the first tile that fits; several rows for a stride of 1 only.

On an H200, the first takes 0.0287 ms for 32x96 planes of 56x56 and 3x3 taps, (1, 4) 0.033 and others more; of
stride 2, (1, 4) takes 0.0158 ms, (2, 4) 0.0187.
"""

KEPT_TAPS, MAX_TAPS = 12, 64
"""The most taps whose weights a thread keeps, for several rows of the result; and the most for one row."""

WINDOW_COLUMNS = 16
"""The widest row of a window, of which a thread has one at a time."""

THREADS = 128


@dataclass(frozen=True)
class ChannelsKernel:
    """The constants of wgsl/conv2d/depthwise_channels.wgsl, for pixels of `tile` and a geometry of taps."""

    tile: Pair
    taps: Pair
    stride: Pair
    dilation: Pair
    threads: int = THREADS

    @property
    def step(self) -> Pair:
        """Columns and rows of the input between those of the window."""
        return gcd(self.stride[0], self.dilation[0]), gcd(self.stride[1], self.dilation[1])

    @property
    def columns(self) -> int:
        """Those of the window."""
        out, taps = (self.tile[1] - 1) * self.stride[1], (self.taps[1] - 1) * self.dilation[1]
        return (out + taps) // self.step[1] + 1

    @property
    def kept(self) -> int:
        """The weights in registers: one, where they are loaded as they are needed."""
        taps = self.taps[0] * self.taps[1]
        return taps if taps <= KEPT_TAPS else 1

    def spec(self, epilogue: Epilogue) -> Spec:
        return _spec(self, epilogue)

    def __str__(self) -> str:
        (rows, columns), (height, width) = self.tile, self.taps
        form = f"4 channels of {rows}x{columns} pixels in registers, {height}x{width} taps"
        return f"{form}, {self.stride} {self.dilation}, {self.threads} threads"


@cache
def _spec(kernel: ChannelsKernel, epilogue: Epilogue) -> Spec:
    constants = {"THREADS": kernel.threads, "KEPT": kernel.kept}
    for axis, name in enumerate(("ROW", "COLUMN")):
        step = kernel.step[axis]
        constants |= {
            f"OUT_{name}S": kernel.tile[axis],
            f"TAP_{name}S": kernel.taps[axis],
            f"{name}S_PER_OUT": kernel.stride[axis] // step,
            f"{name}S_PER_TAP": kernel.dilation[axis] // step,
            f"{name}_STEP": step,
        }
    return Spec(
        "conv2d/depthwise_channels",
        epilogue.inputs,
        1,
        kernel.threads,
        definitions=shaders.constants(constants) + definitions(epilogue, x="vec4<elem>", out="vec4<elem>"),
        variant=f"{kernel}, {epilogue}",
    )


def kernel_of(problem: Correlation) -> ChannelsKernel | None:
    """The kernel with its tile, if one suits the problem."""
    taps = problem.kernel[0] * problem.kernel[1]
    if problem.channels > 1 or problem.outputs > 1 or taps > MAX_TAPS or not _beside(problem):
        return None
    several = taps <= KEPT_TAPS and problem.taps.stride[0] == 1
    tiles = [each for each in TILES if several or each[0] == 1]
    kernels = (
        ChannelsKernel(each, problem.kernel, problem.taps.stride, problem.taps.dilation) for each in tiles
    )
    return next((each for each in kernels if each.columns <= WINDOW_COLUMNS), None)


def _beside(problem: Correlation) -> bool:
    """Whether the channels of x and of out are neighbours, in aligned vec4s."""
    return all(aligned(_channels_last(each)) for each in (problem.x, problem.out))


def _channels_last(x: Array) -> Array:
    return permuted(x, (0, 2, 3, 4, 1))


def run(device: Device, problem: Correlation, kernel: ChannelsKernel) -> None:
    """Launches a kernel that suits the problem."""
    spec = kernel.spec(Epilogue.of(problem))
    for each in pieces(problem, device.throughput.flops(spec)):
        tiles = [ceil_div(size, pixels) for size, pixels in zip(each.out_size, kernel.tile, strict=True)]
        jobs = each.batch * tiles[0] * tiles[1] * (each.groups // 4)
        groups = ceil_div(jobs, kernel.threads)
        rows = ceil_div(groups, device.limits.groups)
        launch(
            device,
            spec,
            inputs=each.inputs,
            outputs=[each.out.buffer],
            uniforms=each.uniforms,
            workgroups=(ceil_div(groups, rows), rows, 1),
            flops=each.flops,
        )
