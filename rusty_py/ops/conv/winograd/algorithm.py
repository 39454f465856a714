"""Winograd's algorithm: when it applies, its cost, and its launches."""

from __future__ import annotations

from functools import partial

from rusty_py.dtypes import F32
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.model import cost_model
from rusty_py.gemm.select import cost, plan
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.ops.conv.winograd.forms import F2, F4, TAPS, Form
from rusty_py.ops.conv.winograd.kernels import (
    transform_input,
    transform_output,
    transform_weights,
    variants,
)
from rusty_py.ops.conv.winograd.tiling import Tiling
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch
from rusty_py.shapes import ceil_div

_CPU_BANDWIDTH, _CPU_PRODUCTS = 6e8, 5.0
"""On llvmpipe (Mesa 22.3, two cores): bytes of a transform per second, and the time of matrix products as a
multiple of GEMM's cost model, which only compares kernels there."""


def _run(form: Form, device: Device, problem: Correlation) -> None:
    tiling = chosen_tiling(device, problem, form)
    u, v, m = (
        device.empty(nbytes, label=f"{label} of Winograd's algorithm")
        for nbytes, label in (
            (tiling.weights_bytes, "weights"),
            (tiling.input_bytes, "input"),
            (tiling.output_bytes, "products"),
        )
    )
    transform_weights(device, problem, tiling, u)
    for first, chunk in tiling.chunks():
        transform_input(device, problem, chunk, first, v)
        multiply(device, chunk, u, v, m)
        transform_output(device, problem, chunk, first, m)


def multiply(device: Device, chunk: Tiling, u: Buffer, v: Buffer, m: Buffer) -> None:
    """The matrix products of a chunk, in f32."""
    a, b = (u, v) if chunk.along_tiles else (v, u)
    chosen = plan(device, chunk.products)
    for dispatch in dispatches(device, chosen, Operands(a, b, m, *chunk.layouts)):
        launch(device, **dispatch._asdict())


def chosen_tiling(device: Device, problem: Correlation, form: Form) -> Tiling:
    """The chunks with the lowest predicted time."""
    max_bytes = min(device.limits.binding_bytes, device.limits.buffer_bytes)
    choices = Tiling.of(problem, form).choices(max_bytes)
    return min(choices, key=lambda each: tiling_seconds(device, problem, each))


def tiling_seconds(device: Device, problem: Correlation, tiling: Tiling) -> float:
    """The transforms by the bytes that they move, the matrix products by GEMM's cost model."""
    machine = cost_model(device)
    bandwidth, times = machine.bandwidth, 1.0
    if device.adapter.is_cpu:
        bandwidth, times = _CPU_BANDWIDTH, _CPU_PRODUCTS
    itemsize = problem.dtype.itemsize
    temporaries = tiling.input_bytes + tiling.output_bytes
    pixels = tiling.tiles * tiling.form.outputs**2 * (tiling.channels + tiling.outputs)
    transforms = (temporaries + pixels * itemsize) / bandwidth + 2 * machine.launch
    products = max(times * cost(plan(device, tiling.products), machine), temporaries / machine.bandwidth)
    weights = (problem.w.size * itemsize + tiling.weights_bytes) / bandwidth + machine.launch
    return ceil_div(tiling.all_tiles, tiling.tiles) * (transforms + products) + weights


def _seconds(form: Form, device: Device, problem: Correlation) -> float:
    return tiling_seconds(device, problem, chosen_tiling(device, problem, form))


def _refusal(form: Form, device: Device, problem: Correlation) -> str | None:
    if problem.kernel != (TAPS, TAPS):
        height, width = problem.kernel
        return f"takes 3x3 kernels: got {height}x{width}"
    if problem.taps.stride != (1, 1):
        return f"takes stride 1: got {problem.taps.stride}"
    if problem.taps.dilation != (1, 1):
        return f"takes dilation 1: got {problem.taps.dilation}"
    if problem.groups != 1:
        return f"takes one group: got {problem.groups}"
    if form != F2 and problem.dtype is not F32:
        return f"{form} is too inaccurate for {problem.dtype.name}: takes f32"
    return None


def _describe(form: Form, device: Device, problem: Correlation) -> str:
    tiling = chosen_tiling(device, problem, form)
    return f"{tiling}, products by {plan(device, tiling.products).kernel.name}"


WINOGRAD = Algorithm[Correlation](
    "winograd",
    partial(_refusal, F2),
    partial(_seconds, F2),
    partial(_run, F2),
    partial(_describe, F2),
    variants,
)
WINOGRAD4 = Algorithm[Correlation](
    "winograd4",
    partial(_refusal, F4),
    partial(_seconds, F4),
    partial(_run, F4),
    partial(_describe, F4),
    variants,
    automatic=False,
)
"""Fewer multiplications still, but it loses more digits (bound.py): never selected by "auto"."""
