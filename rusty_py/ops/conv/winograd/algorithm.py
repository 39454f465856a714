"""Winograd's algorithm: when it applies, its cost, and its launches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter

from rusty_py.arrays import Array
from rusty_py.dtypes import F32, Dtype
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.model import cost_model
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.select import cost, plan
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation, Taps, WeightCorrelation
from rusty_py.ops.conv.winograd.forms import F2, F4, GRADIENT, TAPS, Form
from rusty_py.ops.conv.winograd.kernels import (
    transform_gradient,
    transform_input,
    transform_output,
    transform_weights,
    transform_weights_back,
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
    tiling = _tiling(device, problem, form)
    u, v, m = _temporaries(device, tiling)
    transform_weights(device, problem, tiling, u)
    for first, chunk in tiling.chunks():
        a, b = (u, v) if chunk.along_tiles else (v, u)
        transform_input(device, problem.x, problem.taps.start, chunk, first, v)
        _multiply(device, chunk.products, Operands(a, b, m, *chunk.layouts))
        transform_output(device, problem, chunk, first, m)


def _run_weights(device: Device, problem: WeightCorrelation) -> None:
    tiling = _weights_tiling(device, problem)
    u, v, m = _temporaries(device, tiling)
    for first, chunk in tiling.chunks():
        transform_input(device, problem.x, problem.taps.start, chunk, first, v)
        transform_gradient(device, problem.dout, chunk, first, m)
        operands = Operands(v, m, u, *chunk.weight_layouts)
        _multiply(device, chunk.weight_products, operands, accumulate=first > 0)
    transform_weights_back(device, problem, tiling, u)


def _temporaries(device: Device, tiling: Tiling) -> list[Buffer]:
    """U, V and M."""
    sizes = {
        "weights": tiling.weights_bytes,
        "input": tiling.input_bytes,
        "products": tiling.output_bytes,
    }
    return [device.empty(nbytes, label=f"{label} of Winograd's algorithm") for label, nbytes in sizes.items()]


def _multiply(device: Device, products: GemmProblem, operands: Operands, *, accumulate: bool = False) -> None:
    """The matrix products of a chunk, in f32."""
    for dispatch in dispatches(device, plan(device, products), operands, accumulate=accumulate):
        launch(device, **dispatch._asdict())


def _tiling(device: Device, problem: Correlation, form: Form) -> Tiling:
    return _fastest(device, Tiling.of(problem.x, problem.out, form), problem.dtype, _OF_OUTPUTS)


def _weights_tiling(device: Device, problem: WeightCorrelation) -> Tiling:
    return _fastest(device, Tiling.of(problem.x, problem.dout, F2), problem.dtype, _OF_WEIGHTS)


_Products = Callable[[Tiling], GemmProblem]
_OF_OUTPUTS: _Products = attrgetter("products")
_OF_WEIGHTS: _Products = attrgetter("weight_products")


def _fastest(device: Device, whole: Tiling, dtype: Dtype, products: _Products) -> Tiling:
    """The chunks with the lowest predicted time."""
    max_bytes = min(device.limits.binding_bytes, device.limits.buffer_bytes)
    choices = whole.choices(max_bytes)
    return min(choices, key=lambda each: _tiling_seconds(device, each, dtype, products(each)))


def _tiling_seconds(device: Device, tiling: Tiling, dtype: Dtype, chunk: GemmProblem) -> float:
    """The transforms by the bytes that they move, the matrix products by GEMM's cost model."""
    machine = cost_model(device)
    bandwidth, times = machine.bandwidth, 1.0
    if device.adapter.is_cpu:
        bandwidth, times = _CPU_BANDWIDTH, _CPU_PRODUCTS
    itemsize = dtype.itemsize
    temporaries = tiling.input_bytes + tiling.output_bytes
    pixels = tiling.tiles * tiling.form.outputs**2 * (tiling.channels + tiling.outputs)
    transforms = (temporaries + pixels * itemsize) / bandwidth + 2 * machine.launch
    products = max(times * cost(plan(device, chunk), machine), temporaries / machine.bandwidth)
    weights = TAPS**2 * tiling.channels * tiling.outputs * itemsize + tiling.weights_bytes
    chunks = ceil_div(tiling.all_tiles, tiling.tiles)
    return chunks * (transforms + products) + weights / bandwidth + machine.launch


def _seconds(form: Form, device: Device, problem: Correlation) -> float:
    tiling = _tiling(device, problem, form)
    return _tiling_seconds(device, tiling, problem.dtype, tiling.products)


def _weights_seconds(device: Device, problem: WeightCorrelation) -> float:
    tiling = _weights_tiling(device, problem)
    return _tiling_seconds(device, tiling, problem.dtype, tiling.weight_products)


def _refusal(form: Form, device: Device, problem: Correlation) -> str | None:
    if form != F2 and problem.dtype is not F32:
        return f"{form} is too inaccurate for {problem.dtype.name}: takes f32"
    return _unsuitable(problem.w, problem.taps)


def _unsuitable(w: Array, taps: Taps) -> str | None:
    """Which rule these weights or taps break."""
    groups, _, _, height, width = w.shape
    if (height, width) != (TAPS, TAPS):
        return f"takes 3x3 kernels: got {height}x{width}"
    if taps.stride != (1, 1):
        return f"takes stride 1: got {taps.stride}"
    if taps.dilation != (1, 1):
        return f"takes dilation 1: got {taps.dilation}"
    return None if groups == 1 else f"takes one group: got {groups}"


def _describe(form: Form, device: Device, problem: Correlation) -> str:
    tiling = _tiling(device, problem, form)
    return f"{tiling}, products by {plan(device, tiling.products).kernel.name}"


def _describe_weights(device: Device, problem: WeightCorrelation) -> str:
    tiling = _weights_tiling(device, problem)
    kernel = plan(device, tiling.weight_products).kernel.name
    return f"{replace(tiling, form=GRADIENT)}, products by {kernel}"


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
WEIGHTS_WINOGRAD = Algorithm[WeightCorrelation](
    "winograd",
    lambda device, problem: _unsuitable(problem.dw, problem.taps),
    _weights_seconds,
    _run_weights,
    _describe_weights,
    variants,
)
"""The gradient of weights: the sums of the products are over the tiles, and their chunks are added up."""
