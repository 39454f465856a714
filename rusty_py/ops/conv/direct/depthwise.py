"""The depthwise algorithm: groups of one channel, each thread with some rows of a plane in registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv.algorithm import Algorithm, Epilogue, gpu_seconds, loops_refusal
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.ops.conv.direct import depthwise_channels
from rusty_py.ops.conv.direct import kernel as direct_kernel
from rusty_py.ops.conv.direct.depthwise_channels import ChannelsKernel
from rusty_py.ops.conv.direct.kernel import Kernel
from rusty_py.ops.conv.direct.rules import not_depthwise
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

THREADS = 128

ROWS = (4, 2, 1)
"""Rows of the result of a thread: the first number whose window fits, and that leaves enough threads."""

WINDOW_REGISTERS = 100
"""The largest window; of larger ones, one row of taps at a time."""

CPU_THREADS, CPU_ROWS = 8, 2

BYTES_PER_SECOND, FLOPS_PER_SECOND, CPU_FLOPS_PER_SECOND = 3.6e12, 16e12, 1.2e9
"""Reached by these kernels on an H200; half of it without vec4 loads."""


def kernel_for(device: Device, problem: Correlation) -> Kernel | ChannelsKernel:
    """The kernel with its tile."""
    if device.adapter.is_cpu:
        return Kernel(one_tap(CPU_ROWS), 1, CPU_THREADS, flat=True)
    beside = depthwise_channels.kernel_of(problem)
    if beside is not None:
        return beside
    planes = problem.batch * problem.groups * problem.outputs
    busy = [rows for rows in ROWS if job_count(problem.out_size, planes, rows) >= BUSY_THREADS]
    windows = [
        whole(problem.taps, problem.kernel, problem.x, channels=1, out_rows=rows)
        for rows in busy or ROWS[-1:]
    ]
    fitting = (each for each in (*windows, row_of_taps(windows[-1])) if each.registers <= WINDOW_REGISTERS)
    return Kernel(next(fitting, one_tap(1)), 1, THREADS, flat=True)


def _refusal(device: Device, problem: Correlation) -> str | None:
    if refusal := not_depthwise(problem.channels, problem.outputs):
        return refusal
    height, width = problem.kernel
    return loops_refusal(device, (height + 1) * (width + 1))


def _seconds(device: Device, problem: Correlation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND
    flops, moved = problem.flops, moved_bytes(problem)
    if isinstance(kernel_for(device, problem), ChannelsKernel):
        moved = (problem.x.size + problem.out.size) * problem.dtype.itemsize
    elif not aligned(problem.x):
        flops *= 2
    return gpu_seconds(device, flops / FLOPS_PER_SECOND, moved / BYTES_PER_SECOND)


def _run(device: Device, problem: Correlation) -> None:
    kernel = kernel_for(device, problem)
    if isinstance(kernel, Kernel):
        direct_kernel.run(device, problem, kernel)
    else:
        depthwise_channels.run(device, problem, kernel)


def _describe(device: Device, problem: Correlation) -> str:
    return str(kernel_for(device, problem))


def samples() -> Iterator[Kernel]:
    """Small kernels that cover the texts; what GPUs run differs in numbers alone."""
    three = Window(1, 2, (3, 3), (1, 1), (1, 1), (1, 1), vec4=True, phase=3)
    yield Kernel(three, 1, 32, flat=True)
    yield Kernel(replace(three, per_out=(2, 2), vec4=False, phase=0), 1, 32, flat=True)
    yield Kernel(one_tap(CPU_ROWS), 1, CPU_THREADS, flat=True)


def channels_samples() -> Iterator[ChannelsKernel]:
    """Alike, for channels that are neighbours."""
    yield ChannelsKernel((2, 2), (3, 2), (2, 1), (1, 2), threads=32)
    yield ChannelsKernel((1, 2), (4, 4), (1, 1), (1, 1), threads=32)


def _variants() -> Iterator[Spec]:
    for beside in channels_samples():
        yield beside.spec(Epilogue(F32))
        yield beside.spec(Epilogue(F16, bias=True, activation="relu"))
    for kernel in samples():
        yield kernel.spec(Epilogue(F32), out_vec4=kernel.window.vec4)
        yield kernel.spec(Epilogue(F16, bias=True, activation="relu"), out_vec4=kernel.window.vec4)


DEPTHWISE = Algorithm[Correlation]("depthwise", _refusal, _seconds, _run, _describe, _variants)
