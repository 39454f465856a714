"""The basic algorithm for the gradient of weights: one thread per element and part of the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS
from rusty_py.ops.conv.algorithm import Algorithm, any_problem, gpu_seconds
from rusty_py.ops.conv.correlation import WeightCorrelation
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div
from rusty_py.views import View

THREADS = 64

FLOPS_PER_SECOND, CPU_FLOPS_PER_SECOND = 1e12, 0.4e9
"""Both operands of every multiplication are loaded."""

_BUSY_THREADS = 1 << 17
"""So many hide the latency of loads on a GPU: the pixels are divided for as many."""


@dataclass(frozen=True)
class Parts:
    """How the rows of all images are divided, and how many parts a launch computes."""

    count: int
    rows: int
    per_launch: int


def parts_of(device: Device, problem: WeightCorrelation) -> Parts:
    """Parts that keep a GPU busy, whose loops fit the device's limit, and each fits into one submission."""
    batch, _, _, height, width = problem.dout.shape
    total = batch * height
    max_flops = device.throughput.flops(_spec(problem.dtype, F32))
    count = 1 if device.adapter.is_cpu else ceil_div(_BUSY_THREADS, problem.dw.size)
    count = max(count, ceil_div(problem.flops, max_flops))
    rows = ceil_div(total, min(count, total, device.limits.groups))
    rows = max(1, min(rows, device.limits.loop_steps // 2 // (width + 1)))
    count = ceil_div(total, rows)
    per_launch = min(count, device.limits.groups, max(1, count * max_flops // max(problem.flops, 1)))
    return Parts(count, rows, per_launch)


def _run(device: Device, problem: WeightCorrelation) -> None:
    parts = parts_of(device, problem)
    if parts.count == 1:
        _launch(device, problem, problem.dw, 0, parts)
        return
    sums = allocate(device, (parts.count, *problem.dw.shape), F32, operation="conv2d_weight_gradient")
    _launch(device, problem, sums, problem.dw.size, parts)
    total = OPERATIONS["sum"].forward(sums, axis=0)
    OPERATIONS["assign"].forward(total, problem.dw)


def _launch(device: Device, problem: WeightCorrelation, out: Array, step: int, parts: Parts) -> None:
    """Computes all parts into `out`, each `step` elements after the one before."""
    target = out.view(View(out.offset, problem.dw.shape, out.strides[-5:]))
    words = WeightCorrelation(problem.x, problem.dout, target, problem.taps).uniforms
    groups, outputs, channels, height, width = problem.dw.shape
    limit = device.limits.groups
    x_groups, y_groups = ceil_div(channels * height * width, THREADS), groups * outputs
    for first in range(0, parts.count, parts.per_launch):
        count = min(parts.per_launch, parts.count - first)
        launch(
            device,
            _spec(problem.dtype, out.kind),
            inputs=[problem.x.buffer, problem.dout.buffer],
            outputs=[out.buffer],
            uniforms=(*words, parts.rows, first, step),
            workgroups=(min(x_groups, limit), min(y_groups, limit), count),
            flops=problem.flops * count // parts.count,
        )


@cache
def _spec(kind: Dtype, sums: Dtype) -> Spec:
    """The kernel for operands of `kind`, whose results are stored as `sums`."""
    definitions = (
        f"alias elem = {kind.wgsl};\nalias sum_elem = {sums.wgsl};\n"
        "@group(0) @binding(0) var<storage, read> x_in: array<elem>;\n"
        "@group(0) @binding(1) var<storage, read> dout_in: array<elem>;\n"
        "@group(0) @binding(2) var<storage, read_write> dw_out: array<sum_elem>;\n"
        "@group(0) @binding(3) var<uniform> uniforms: Uniforms;\n" + shaders.read("conv2d/uniforms")
    )
    variant = kind.name if kind is sums else f"{kind.name} to {sums.name}"
    return Spec("conv2d/basic_weights", 2, 1, THREADS, definitions=definitions, variant=variant)


def _variants() -> Iterator[Spec]:
    yield _spec(F32, F32)
    yield _spec(F16, F16)
    yield _spec(F16, F32)


def _seconds(device: Device, problem: WeightCorrelation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND
    # The sum of the parts, and its copy, are launches too.
    return gpu_seconds(device, problem.flops / FLOPS_PER_SECOND, launches=3)


def _describe(device: Device, problem: WeightCorrelation) -> str:
    count = parts_of(device, problem).count
    return f"a thread per element{f' and part of {count}' if count > 1 else ''}"


ALGORITHM = Algorithm[WeightCorrelation]("basic", any_problem, _seconds, _run, _describe, _variants)
