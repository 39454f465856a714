"""Gradients of weights as sums over a share of the pixels each, which are then added up.

The kernels of `sum` add up, so results are reproducible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rusty_py.arrays import allocate
from rusty_py.dtypes import F32
from rusty_py.operation import OPERATIONS
from rusty_py.ops.conv.correlation import Pair, WeightCorrelation
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div


class SumsKernel(Protocol):
    """A kernel that computes sums[i, lane] for the elements i of dw; the lanes share the jobs."""

    @property
    def lanes(self) -> int:
        """Their number is a multiple of this one."""

    @property
    def busy_threads(self) -> int:
        """So many keep a GPU busy; more leave more sums to add up."""

    def spec_for(self, problem: WeightCorrelation) -> Spec:
        """Its text."""

    def jobs(self, problem: WeightCorrelation) -> int:
        """Some pixels each."""

    def threads_per_lane(self, problem: WeightCorrelation) -> int:
        """For all of dw."""

    def workgroups(self, problem: WeightCorrelation, lanes: int) -> Pair:
        """In x and y, for all of dw."""


def run(device: Device, problem: WeightCorrelation, kernel: SumsKernel) -> None:
    """Computes the sums with a kernel, and adds them up."""
    spec, lanes = kernel.spec_for(problem), lane_count(device, problem, kernel)
    columns, rows = kernel.workgroups(problem, lanes)
    sums = allocate(device, (problem.dw.size, lanes), F32, operation="conv2d_weight_gradient")
    flops = ceil_div(problem.flops, columns * rows)
    most = max(1, device.throughput.flops(spec) // flops)
    for first, first_row, count, row_count in _launches(columns, rows, most, device.limits.groups):
        launch(
            device,
            spec,
            inputs=[problem.x.buffer, problem.dout.buffer],
            outputs=[sums.buffer],
            uniforms=(*problem.uniforms, 0, 0, 0, lanes, first, first_row),
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


def lane_count(device: Device, problem: WeightCorrelation, kernel: SumsKernel) -> int:
    """Lanes for a busy device, and for loops within its limit."""
    jobs, together = kernel.jobs(problem), kernel.lanes
    threads = 1 if device.adapter.is_cpu else kernel.busy_threads
    lanes = max(threads // kernel.threads_per_lane(problem), ceil_div(jobs, device.limits.loop_steps - 1), 1)
    jobs_per_lane = ceil_div(jobs, ceil_div(lanes, together) * together)
    return ceil_div(ceil_div(jobs, jobs_per_lane), together) * together


def memory_refusal(device: Device, problem: WeightCorrelation, kernel: SumsKernel) -> str | None:
    """The refusal of more sums than a binding has room for."""
    nbytes = problem.dw.size * lane_count(device, problem, kernel) * 4
    if nbytes > device.limits.binding_bytes:
        return f"has {nbytes} bytes of partial sums: {device.adapter} allows {device.limits.binding_bytes}"
    return None
