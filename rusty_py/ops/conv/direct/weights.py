"""The direct algorithms for gradients of weights: blocks in registers, each thread over some pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv.algorithm import Algorithm, gpu_seconds
from rusty_py.ops.conv.correlation import WeightCorrelation
from rusty_py.ops.conv.direct import channels_weights
from rusty_py.ops.conv.direct.channels_weights import ChannelsWeightsKernel
from rusty_py.ops.conv.direct.rules import FEW, many_channels, not_depthwise
from rusty_py.ops.conv.direct.weights_sums import memory_refusal, run
from rusty_py.ops.conv.direct.window import Window, aligned, one_tap, row_of_taps, whole
from rusty_py.ops.conv.direct.window_weights import WeightsKernel
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import power_of_2

SUMS, OUTPUTS = 112, 8
"""Elements of dw in the registers of a thread, and outputs, at most."""

SHARING_OUTPUTS = 4
"""So many outputs at least share the window of all channels; if SUMS has no room, of one channel.

On an H200, 3 to 64 channels at 1920x1080 take 0.41 ms with 4 outputs of 3 channels, 0.56 ms with 8 of one.
"""

WINDOW_REGISTERS = 64
"""The largest window beside them."""

PLANE_ROWS = 2
"""Rows of the result of a thread for groups of one channel."""

LANES, SHARES = 32, 4
"""Threads of a workgroup along the pixels, and the blocks of dw that it computes."""

CPU_LANES, CPU_OUTPUTS = 8, 8

FLOPS_PER_SECOND, BYTES_PER_SECOND, CPU_FLOPS_PER_SECOND = 19e12, 3e12, 2e9
"""Reached on an H200 with windows; where nothing is a vec4, a third of it."""

CHANNELS_FLOPS_PER_SECOND, CHANNELS_BYTES_PER_SECOND = 10e12, 1.25e12
"""Reached on an H200 where channels of the result are neighbours."""


def kernel_for(device: Device, problem: WeightCorrelation) -> WeightsKernel | ChannelsWeightsKernel:
    """The kernel with its tile."""
    _, outputs, channels, height, width = problem.dw.shape
    if device.adapter.is_cpu:
        share = next(count for count in (4, 3, 2, 1) if channels % count == 0)
        window = replace(one_tap(1), channels=share)
        return WeightsKernel(window, min(CPU_OUTPUTS, power_of_2(outputs)), CPU_LANES, 1)
    beside = channels_weights.kernel_of(problem) if channels <= FEW else None
    if beside is not None:
        return beside
    rows = PLANE_ROWS if channels == outputs == 1 else 1
    together = channels if SHARING_OUTPUTS * channels * height * width <= SUMS else 1
    window = whole(problem.taps, (height, width), problem.x, channels=together, out_rows=rows)
    if window.registers > WINDOW_REGISTERS:
        window = row_of_taps(window)
    if window.registers > WINDOW_REGISTERS or window.taps[1] > SUMS:
        window = one_tap(1)
    fitting = max(1, SUMS // (window.channels * window.taps[0] * window.taps[1]))
    block = min(power_of_2(outputs), 1 << fitting.bit_length() - 1, OUTPUTS)
    return WeightsKernel(window, block, LANES, SHARES)


def _run(device: Device, problem: WeightCorrelation) -> None:
    run(device, problem, kernel_for(device, problem))


def _refusal(device: Device, problem: WeightCorrelation) -> str | None:
    _, outputs, channels, _, _ = problem.dw.shape
    many = None if device.adapter.is_cpu else many_channels(channels, outputs)
    return many or memory_refusal(device, problem, kernel_for(device, problem))


def _depthwise_refusal(device: Device, problem: WeightCorrelation) -> str | None:
    _, outputs, channels, _, _ = problem.dw.shape
    refusal = not_depthwise(channels, outputs)
    return refusal or memory_refusal(device, problem, kernel_for(device, problem))


def _seconds(device: Device, problem: WeightCorrelation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND
    moved = (problem.x.size + problem.dout.size) * problem.dtype.itemsize
    if isinstance(kernel_for(device, problem), ChannelsWeightsKernel):
        slow, flops, nbytes = 1, CHANNELS_FLOPS_PER_SECOND, CHANNELS_BYTES_PER_SECOND
    else:
        slow = 1 + (not aligned(problem.x)) + (not aligned(problem.dout))
        flops, nbytes = FLOPS_PER_SECOND, BYTES_PER_SECOND
    return gpu_seconds(device, slow * problem.flops / flops, slow * moved / nbytes, launches=3)


def _describe(device: Device, problem: WeightCorrelation) -> str:
    return f"sums of some pixels: {kernel_for(device, problem)}"


def samples() -> Iterator[WeightsKernel]:
    """Small kernels that cover the texts; what GPUs run differs in numbers alone."""
    three = Window(1, 2, (3, 3), (1, 1), (1, 1), (1, 1), vec4=True, phase=3)
    yield WeightsKernel(three, 1, 16, 2)
    yield WeightsKernel(replace(three, channels=3, out_rows=1, taps=(1, 3), vec4=False, phase=0), 2, 16, 2)
    yield WeightsKernel(replace(one_tap(1), channels=2), 4, CPU_LANES, 1)


def channels_samples() -> Iterator[ChannelsWeightsKernel]:
    """Alike, for channels of the result that are neighbours."""
    yield ChannelsWeightsKernel(True, 2, (3, 2), 2, 1, threads=32)
    yield ChannelsWeightsKernel(False, 2, (1, 2), 1, 2, threads=32)


def _variants() -> Iterator[Spec]:
    for kind in (F32, F16):
        for kernel in samples():
            yield kernel.spec(kind, g_vec4=kernel.window.vec4)
        for beside in channels_samples():
            yield beside.spec(kind)


WEIGHTS_DIRECT = Algorithm[WeightCorrelation]("direct", _refusal, _seconds, _run, _describe, _variants)
WEIGHTS_DEPTHWISE = Algorithm[WeightCorrelation](
    "depthwise", _depthwise_refusal, _seconds, _run, _describe, _variants
)
