"""The direct algorithm: a window of the input in registers; for few channels, and on CPU drivers for any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv.algorithm import Algorithm, Epilogue, gpu_seconds, loops_refusal
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.ops.conv.direct import channels
from rusty_py.ops.conv.direct import kernel as direct_kernel
from rusty_py.ops.conv.direct.channels import OutputsKernel
from rusty_py.ops.conv.direct.kernel import WEIGHTS_BYTES, Kernel
from rusty_py.ops.conv.direct.rules import FEW, many_channels
from rusty_py.ops.conv.direct.window import (
    BUSY_THREADS,
    Window,
    aligned,
    job_count,
    moved_bytes,
    one_tap,
    row_of_taps,
    whole,
)
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div, power_of_2

THREADS = 128

KEPT_REGISTERS = 80
"""The largest window that stays in registers while the channels of the result pass by."""

KEPT_ROWS, KEPT_OUTPUTS = 1, (64, 32, 16, 8, 4)
"""Rows of the result of a thread with such a window, and the channels that pass by, at most."""

FEW_OUTPUT_ROWS, FEW_OUTPUT_THREADS = (8, 4, 2, 1), 1 << 14
"""Rows of the result of a thread that has all of up to 4 outputs, while so many threads are left.

On an H200, 64 to 3 channels at 800x600 take 0.161, 0.148, 0.117 and 0.131 ms with 1, 2, 4 and 8 rows
(15,000 threads); at 1920x1080 0.59, 0.49, 0.42 and 0.37 ms (65,000 threads).
"""

OUTPUTS = 16
"""Channels of the result of a thread, beyond FEW."""

WINDOW_REGISTERS, FEW_OUTPUT_REGISTERS = 40, 64
"""The largest window of all taps of one channel; of larger ones, one row of taps at a time."""

CPU_THREADS, CPU_ROWS, CPU_OUTPUTS = 8, 2, 16
"""A workgroup of a CPU driver, and the rows and channels of the result of a thread."""

KEPT_FLOPS_PER_SECOND, SUMS_FLOPS_PER_SECOND, FEW_OUTPUTS_FLOPS_PER_SECOND = 40e12, 35e12, 22e12
CHANNELS_FLOPS_PER_SECOND, BYTES_PER_SECOND, CPU_FLOPS_PER_SECOND = 24e12, 3.2e12, 2.5e9
"""Reached on an H200 by kernels that keep the window, by those that keep sums of many and of few outputs, and
by those for neighbouring outputs; half of it without vec4 loads, and on CPU drivers for one output."""


def kernel_for(device: Device, problem: Correlation) -> Kernel | OutputsKernel:
    """The kernel with its tile."""
    if device.adapter.is_cpu:
        return Kernel(
            one_tap(CPU_ROWS), min(CPU_OUTPUTS, power_of_2(problem.outputs)), CPU_THREADS, flat=True
        )
    beside = channels.kernel_of(problem) if problem.channels <= FEW else None
    if beside is not None:
        return beside
    if problem.outputs <= FEW:
        busy = [rows for rows in FEW_OUTPUT_ROWS if _jobs(problem, rows) >= FEW_OUTPUT_THREADS]
        windows = [_whole(problem, 1, rows) for rows in busy or FEW_OUTPUT_ROWS[-1:]]
        return _sums(windows, 4, FEW_OUTPUT_REGISTERS)
    return _kept(problem) or _sums([_whole(problem, 1, 1)], OUTPUTS, WINDOW_REGISTERS)


def _kept(problem: Correlation) -> Kernel | None:
    """The kernel whose window stays, with as many outputs as leave enough threads."""
    window, jobs = _whole(problem, problem.channels, KEPT_ROWS), _jobs(problem, KEPT_ROWS)
    if window.registers > KEPT_REGISTERS:
        return None
    kernels = [Kernel(window, outputs, THREADS, keeps=True) for outputs in KEPT_OUTPUTS]
    fitting = [each for each in kernels if each.weights * 16 <= WEIGHTS_BYTES]
    busy = [each for each in fitting if jobs * ceil_div(problem.outputs, each.outputs) >= BUSY_THREADS]
    return next(iter(busy or fitting[-1:]), None)


def _jobs(problem: Correlation, rows: int) -> int:
    return job_count(problem.out_size, problem.batch * problem.groups, rows)


def _whole(problem: Correlation, channels: int, rows: int) -> Window:
    return whole(problem.taps, problem.kernel, problem.x, channels=channels, out_rows=rows)


def _sums(windows: list[Window], outputs: int, registers: int) -> Kernel:
    """The first window that fits, a row of its taps, or one tap."""
    candidates = [*windows, row_of_taps(windows[-1])]
    fitting = (each for each in candidates if each.registers <= registers)
    return Kernel(next(fitting, one_tap(1)), outputs, THREADS)


def _refusal(device: Device, problem: Correlation) -> str | None:
    if device.adapter.is_cpu:
        height, width = problem.kernel
        return loops_refusal(device, problem.channels * (height + 1) * (width + 1))
    if refusal := many_channels(problem.channels, problem.outputs):
        return refusal
    kernel = kernel_for(device, problem)
    parts = problem.groups * ceil_div(problem.outputs, kernel.outputs)
    if parts > device.limits.groups:
        return f"takes up to {device.limits.groups} parts of {kernel.outputs} outputs: {parts}"
    taps = problem.kernel[0] * problem.kernel[1]
    if isinstance(kernel, Kernel) and not kernel.keeps and taps * kernel.vectors > kernel.weights:
        return f"takes up to {kernel.weights // kernel.vectors} taps: {taps}"
    return None


def _seconds(device: Device, problem: Correlation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND * (1 + 1 / problem.outputs)
    padded = 4 * ceil_div(problem.outputs, 4) / problem.outputs
    kernel = kernel_for(device, problem)
    if isinstance(kernel, OutputsKernel):
        return gpu_seconds(device, padded * problem.flops / CHANNELS_FLOPS_PER_SECOND)
    few = FEW_OUTPUTS_FLOPS_PER_SECOND if problem.outputs <= FEW else SUMS_FLOPS_PER_SECOND
    compute = problem.flops / (KEPT_FLOPS_PER_SECOND if kernel.keeps else few)
    scalar_loads = 1 + (not aligned(problem.x))
    memory = moved_bytes(problem) / BYTES_PER_SECOND
    return gpu_seconds(device, padded * scalar_loads * compute, padded * memory)


def _run(device: Device, problem: Correlation) -> None:
    kernel = kernel_for(device, problem)
    if isinstance(kernel, Kernel):
        direct_kernel.run(device, problem, kernel)
    else:
        channels.run(device, problem, kernel)


def _describe(device: Device, problem: Correlation) -> str:
    return str(kernel_for(device, problem))


def samples() -> Iterator[Kernel]:
    """Small kernels that cover the texts; what GPUs run differs in numbers alone."""
    three = Window(3, 1, (3, 3), (1, 1), (1, 1), (1, 1), vec4=True, phase=3)
    yield Kernel(three, 8, 32, keeps=True)
    yield Kernel(
        replace(three, channels=2, out_rows=2, per_out=(2, 1), taps=(2, 2), vec4=False), 8, 32, keeps=True
    )
    yield Kernel(replace(three, channels=1, out_rows=2), 4, 32)
    yield Kernel(row_of_taps(three), 8, 32)
    yield Kernel(one_tap(1), 4, 8, flat=True)


def channels_samples() -> Iterator[OutputsKernel]:
    """Alike, for outputs that are neighbours."""
    yield OutputsKernel(4, 2, 32, 3, 2, 1, threads=32)


def _variants() -> Iterator[Spec]:
    for beside in channels_samples():
        yield beside.spec(Epilogue(F32))
        yield beside.spec(Epilogue(F16, bias=True, activation="relu"))
    for kernel in samples():
        yield kernel.spec(Epilogue(F32), out_vec4=kernel.window.vec4)
        yield kernel.spec(Epilogue(F16, bias=True, activation="relu"), out_vec4=kernel.window.vec4)


DIRECT = Algorithm[Correlation]("direct", _refusal, _seconds, _run, _describe, _variants)
