"""The kernels that multiply a window of the input in registers: direct.wgsl and direct_window.wgsl."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.ops.conv.algorithm import Epilogue
from rusty_py.ops.conv.correlation import Correlation, pieces
from rusty_py.ops.conv.direct.window import Window, accesses, aligned, job_count
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

WEIGHTS_BYTES = 16384
"""Workgroup memory for weights, which every adapter has."""

_VEC4_BYTES = 16


@dataclass(frozen=True)
class Kernel:
    """A kernel with its tile. `outputs` channels of the result share a thread's window.

    `keeps`: the window stays, while channels of the result pass by (direct_window.wgsl); else the sums stay,
    while channels of the input pass by (direct.wgsl). `flat`: weights are read where they are, and several
    groups of channels may share a workgroup of direct.wgsl; else weights are copied to workgroup memory.
    """

    window: Window
    outputs: int
    threads: int
    keeps: bool = False
    flat: bool = False

    def spec(self, epilogue: Epilogue, *, out_vec4: bool) -> Spec:
        return _spec(self, epilogue, out_vec4)

    @property
    def vectors(self) -> int:
        """The vec4s of weights for one tap."""
        return ceil_div(self.outputs, 4)

    @property
    def weights(self) -> int:
        """The vec4s of weights in workgroup memory."""
        if self.flat:
            return 1
        height, width = self.window.taps
        kept = self.vectors * self.window.channels * height * width
        return kept if self.keeps else WEIGHTS_BYTES // _VEC4_BYTES

    def __str__(self) -> str:
        kept = "window" if self.keeps else "sums"
        home = "storage" if self.flat else "workgroup memory"
        return f"{kept} in registers, {self.outputs} outputs, {self.window}, weights in {home}"


@cache
def _spec(kernel: Kernel, epilogue: Epilogue, out_vec4: bool) -> Spec:
    constants = {"THREADS": kernel.threads, "WEIGHTS": kernel.weights}
    if kernel.keeps:
        constants["VECTORS"] = kernel.vectors
    else:
        constants |= {"OUTPUTS": kernel.outputs, "LANES": min(4, kernel.outputs)}
    return Spec(
        "conv2d/direct_window" if kernel.keeps else "conv2d/direct",
        epilogue.inputs,
        1,
        kernel.threads,
        kernel.weights * _VEC4_BYTES,
        definitions=shaders.constants({**constants, "FLAT": kernel.flat})
        + kernel.window.text
        + accesses(epilogue, x_vec4=kernel.window.vec4, out_vec4=out_vec4),
        variant=f"{kernel}, {'vec4' if out_vec4 else 'scalar'} stores, {epilogue}",
    )


def run(device: Device, problem: Correlation, kernel: Kernel) -> None:
    """Launches a kernel that suits the problem."""
    spec = kernel.spec(Epilogue.of(problem), out_vec4=aligned(problem.out))
    for each in pieces(problem, device.throughput.flops(spec)):
        together = each.groups if kernel.flat and not kernel.keeps else 1
        planes = each.batch * together
        groups = ceil_div(job_count(each.out_size, planes, kernel.window.out_rows), kernel.threads)
        rows = ceil_div(groups, device.limits.groups)
        parts = ceil_div(each.outputs, kernel.outputs)
        launch(
            device,
            spec,
            inputs=each.inputs,
            outputs=[each.out.buffer],
            uniforms=each.uniforms,
            workgroups=(ceil_div(groups, rows), rows, parts * each.groups // together),
            flops=each.flops,
        )
