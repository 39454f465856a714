"""The direct algorithms for the gradient of weights: blocks of it in registers, each thread over some pixels.

The threads' sums are added up by the kernels of `sum`, so results are reproducible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from rusty_py import shaders
from rusty_py.arrays import allocate
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import WeightCorrelation
from rusty_py.ops.conv.window import Window, aligned, job_count, load_text, one_tap, row_of_taps, whole
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

FEW = 4
"""Channels of the input in a group, or of the result, for a GPU."""

MULTIPLIER = 4
"""The most outputs of a channel of a depthwise convolution."""

SUMS = 112
"""Elements of dw in the registers of a thread, at most."""

WINDOW_REGISTERS = 40
"""The largest window beside them."""

PLANE_ROWS = 4
"""Rows of the result of a thread for groups of one channel."""

LANES, SHARES = 32, 4
"""Threads of a workgroup along the pixels, and the blocks of dw that it computes."""

BUSY_THREADS = 1 << 16
"""So many keep a GPU busy; more leave more sums to add up."""

CPU_LANES, CPU_OUTPUTS = 8, 8

FLOPS_PER_SECOND, BYTES_PER_SECOND, CPU_FLOPS_PER_SECOND = 20e12, 2.5e12, 2e9
"""Reached by these kernels; where nothing is a vec4, half of it."""

LAUNCH_SECONDS = 9e-6
"""Of the sums, of adding them up, and of the copy to dw."""


@dataclass(frozen=True)
class WeightsKernel:
    """The kernel with its tile: a block of dw is that of `outputs` outputs and the taps of a window."""

    window: Window
    outputs: int
    lanes: int
    shares: int

    def spec(self, kind: Dtype, *, g_vec4: bool) -> Spec:
        return _spec(self, kind, g_vec4)

    def blocks(self, problem: WeightCorrelation) -> int:
        """The blocks that dw consists of."""
        groups, outputs, channels, height, width = problem.dw.shape
        taps = (height // self.window.taps[0]) * (width // self.window.taps[1])
        return groups * ceil_div(outputs, self.outputs) * (channels // self.window.channels) * taps

    def __str__(self) -> str:
        return f"{self.outputs} outputs, {self.window}, {self.lanes} lanes, {self.shares} blocks"


@cache
def _spec(kernel: WeightsKernel, kind: Dtype, g_vec4: bool) -> Spec:
    threads = kernel.lanes * kernel.shares
    x, g = ("vec4<elem>" if vec4 else "elem" for vec4 in (kernel.window.vec4, g_vec4))
    return Spec(
        "conv2d/direct_weights",
        2,
        1,
        threads,
        definitions=f"alias elem = {kind.wgsl};\n"
        + f"const THREADS: u32 = {threads}u;\nconst LANES: u32 = {kernel.lanes}u;\n"
        + f"const OUTPUTS: u32 = {kernel.outputs}u;\nconst G_VEC4: bool = {str(g_vec4).lower()};\n"
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


def kernel_for(device: Device, problem: WeightCorrelation) -> WeightsKernel:
    """The kernel with its tile."""
    _, outputs, channels, height, width = problem.dw.shape
    if device.adapter.is_cpu:
        share = next(count for count in (4, 3, 2, 1) if channels % count == 0)
        window = replace(one_tap(1), channels=share)
        return WeightsKernel(window, min(CPU_OUTPUTS, _power_of_2(outputs)), CPU_LANES, 1)
    planes = channels == outputs == 1
    rows = PLANE_ROWS if planes else 1
    window = whole(problem.taps, (height, width), problem.x, channels=1, out_rows=rows)
    if window.registers > WINDOW_REGISTERS:
        window = row_of_taps(window)
    if window.registers > WINDOW_REGISTERS or window.taps[1] > SUMS:
        window = one_tap(1)
    most = max(1, SUMS // (window.taps[0] * window.taps[1]))
    return WeightsKernel(window, min(_power_of_2(outputs), 1 << most.bit_length() - 1, 16), LANES, SHARES)


def _power_of_2(count: int) -> int:
    """The smallest power of 2 that is not below `count`."""
    return 1 << (count - 1).bit_length()


def _run(device: Device, problem: WeightCorrelation) -> None:
    run(device, problem, kernel_for(device, problem))


def run(device: Device, problem: WeightCorrelation, kernel: WeightsKernel) -> None:
    """Computes the sums with a kernel, and adds them up."""
    spec = kernel.spec(problem.dtype, g_vec4=aligned(problem.dout))
    columns, rows = lane_groups(device, problem, kernel), ceil_div(kernel.blocks(problem), kernel.shares)
    lanes = columns * kernel.lanes
    sums = allocate(device, (problem.dw.size, lanes), F32, operation="conv2d_weight_gradient")
    flops = ceil_div(problem.flops, columns * rows)
    most = max(1, device.throughput.flops(spec) // flops)
    for first, first_row, count, row_count in _launches(columns, rows, most, device.limits.groups):
        launch(
            device,
            spec,
            inputs=[problem.x.buffer, problem.dout.buffer],
            outputs=[sums.buffer],
            uniforms=(
                *(*problem.uniforms, 0, 0, 0),
                *(lanes, first * kernel.lanes, first_row * kernel.shares),
            ),
            workgroups=(count, row_count, 1),
            flops=flops * count * row_count,
        )
    total = OPERATIONS["sum"].forward(sums, axis=1)
    OPERATIONS["assign"].forward(total.reshape(problem.dw.shape), problem.dw)


def _launches(columns: int, rows: int, most: int, limit: int) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles of up to `most` of columns x rows workgroups: where they begin, and their sizes."""
    width = min(columns, most, limit)
    height = min(rows, most // width, limit)
    for column in range(0, columns, width):
        for row in range(0, rows, height):
            yield column, row, min(width, columns - column), min(height, rows - row)


def lane_groups(device: Device, problem: WeightCorrelation, kernel: WeightsKernel) -> int:
    """Workgroups along the pixels, for a busy device, and loops within its limit."""
    batch, _, _, height, width = problem.dout.shape
    jobs = job_count((height, width), batch, kernel.window.out_rows)
    threads = 1 if device.adapter.is_cpu else BUSY_THREADS
    lanes = max(threads // kernel.blocks(problem), ceil_div(jobs, device.limits.loop_steps - 1), 1)
    jobs_per_lane = ceil_div(jobs, ceil_div(lanes, kernel.lanes) * kernel.lanes)
    return ceil_div(ceil_div(jobs, jobs_per_lane), kernel.lanes)


def _refusal(device: Device, problem: WeightCorrelation) -> str | None:
    _, outputs, channels, _, _ = problem.dw.shape
    if not device.adapter.is_cpu and min(channels, outputs) > FEW:
        return (
            f"takes up to {FEW} channels of the input, or {FEW} of the result, in a group:"
            f" {channels} and {outputs}"
        )
    return _memory_refusal(device, problem)


def _depthwise_refusal(device: Device, problem: WeightCorrelation) -> str | None:
    _, outputs, channels, _, _ = problem.dw.shape
    if channels > 1 or outputs > MULTIPLIER:
        return f"takes groups of 1 channel and up to {MULTIPLIER} outputs: {channels} and {outputs}"
    return _memory_refusal(device, problem)


def _memory_refusal(device: Device, problem: WeightCorrelation) -> str | None:
    kernel = kernel_for(device, problem)
    nbytes = problem.dw.size * lane_groups(device, problem, kernel) * kernel.lanes * 4
    if nbytes > device.limits.binding_bytes:
        return f"has {nbytes} bytes of partial sums: {device.adapter} allows {device.limits.binding_bytes}"
    return None


def _seconds(device: Device, problem: WeightCorrelation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND
    moved = (problem.x.size + problem.dout.size) * problem.dtype.itemsize
    slow = 1 + (not aligned(problem.x)) + (not aligned(problem.dout))
    return LAUNCH_SECONDS + slow * max(problem.flops / FLOPS_PER_SECOND, moved / BYTES_PER_SECOND)


def _describe(device: Device, problem: WeightCorrelation) -> str:
    return f"sums of some pixels: {kernel_for(device, problem)}"


def samples() -> Iterator[WeightsKernel]:
    """Small kernels that cover the texts; what GPUs run differs in numbers alone."""
    three = Window(1, 2, (3, 3), (1, 1), (1, 1), (1, 1), vec4=True, phase=3)
    yield WeightsKernel(three, 1, 16, 2)
    yield WeightsKernel(replace(three, channels=3, out_rows=1, taps=(1, 3), vec4=False, phase=0), 2, 16, 2)
    yield WeightsKernel(replace(one_tap(1), channels=2), 4, CPU_LANES, 1)


def _variants() -> Iterator[Spec]:
    for kernel in samples():
        for kind in (F32, F16):
            yield kernel.spec(kind, g_vec4=kernel.window.vec4)


DIRECT = Algorithm[WeightCorrelation]("direct", _refusal, _seconds, _run, _describe, _variants)
DEPTHWISE = Algorithm[WeightCorrelation](
    "depthwise", _depthwise_refusal, _seconds, _run, _describe, _variants
)
