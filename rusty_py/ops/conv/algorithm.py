"""What there is to know of an algorithm for correlations, and the definitions that their kernels share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rusty_py import shaders
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import Dtype
from rusty_py.gemm.model import cost_model, model_of
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation, pieces
from rusty_py.profile.prior import prior
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch

Problem = TypeVar("Problem", Correlation, WeightCorrelation)


@dataclass(frozen=True)
class Algorithm(Generic[Problem]):
    """A way to compute a problem.

    `refusal` says which rule of the algorithm the problem breaks on a device; None if it can be computed.
    `seconds` predicts the time on the device, with all launches. `run` launches. `describe` says in a few
    words how it is computed: the kernel, its tiles, what is packed. `variants` are all kernels that can be
    launched. Only by name are those chosen that are not `automatic`.
    """

    name: str
    refusal: Callable[[Device, Problem], str | None]
    seconds: Callable[[Device, Problem], float]
    run: Callable[[Device, Problem], None]
    describe: Callable[[Device, Problem], str]
    variants: Callable[[], Iterable[Spec]]
    automatic: bool = True


@dataclass(frozen=True)
class Epilogue:
    """What kernels of a correlation are specialized for besides their tiles."""

    dtype: Dtype
    bias: bool = False
    activation: str = ""

    @classmethod
    def of(cls, problem: Correlation) -> Epilogue:
        return cls(problem.dtype, problem.bias is not None, problem.activation)

    @property
    def inputs(self) -> int:
        """The kernel's input buffers: x, w and, if there is one, the bias."""
        return 2 + self.bias

    @property
    def text(self) -> str:
        """load_bias(channel) and activation(x), with the binding of the bias, 2."""
        return self.functions(bias_binding=2)

    def functions(self, *, bias_binding: int) -> str:
        """`text` with another binding of the bias."""
        body = ACTIVATIONS[self.activation].wgsl if self.activation else "x"
        declared = f"@group(0) @binding({bias_binding}) var<storage, read> bias: array<elem>;\n"
        binding = declared if self.bias else ""
        value = "f32(bias[channel])" if self.bias else "0.0"
        return (
            f"alias elem = {self.dtype.wgsl};\n{binding}"
            f"fn load_bias(channel: u32) -> f32 {{\n    return {value};\n}}\n"
            f"fn activation(x: f32) -> f32 {{\n    return {body};\n}}\n"
        )

    def __str__(self) -> str:
        return " ".join([self.dtype.name, *["bias"] * self.bias, *[self.activation] * bool(self.activation)])


def definitions(epilogue: Epilogue, *, x: str = "elem", out: str = "elem") -> str:
    """The bindings, the uniforms and the epilogue of a kernel that binds x, w, the bias if any, and out.

    `x` and `out` are the types of the elements of those bindings.
    """
    inputs = epilogue.inputs
    return (
        epilogue.text
        + f"@group(0) @binding(0) var<storage, read> x_in: array<{x}>;\n"
        + "@group(0) @binding(1) var<storage, read> w_in: array<elem>;\n"
        + f"@group(0) @binding({inputs}) var<storage, read_write> out: array<{out}>;\n"
        + f"@group(0) @binding({inputs + 1}) var<uniform> uniforms: Uniforms;\n"
        + shaders.read("conv2d/uniforms")
    )


def gpu_seconds(device: Device, compute: float, memory: float = 0.0, *, launches: int = 1) -> float:
    """The predicted time on a GPU, from the seconds that an H200 needs for arithmetic and for memory access.

    They are scaled by GEMM's description of the device, so that the predictions of all algorithms compare.
    """
    gpu, h200 = cost_model(device), model_of(device.limits, False, prior("nvidia-h200"))
    compute *= h200.peak / gpu.peak
    memory *= h200.bandwidth / gpu.bandwidth
    return launches * gpu.launch + max(compute, memory)


def run_pieces(
    device: Device,
    problem: Correlation,
    kernel: Spec,
    workgroups: Callable[[Correlation], tuple[int, int, int]],
) -> None:
    """Launches a kernel for each piece of a problem that one submission can take.

    The kernel goes through the grid: of the workgroups, there are at most as many as the device has.
    """
    limit = device.limits.groups
    for piece in pieces(problem, device.throughput.flops(kernel)):
        x, y, z = workgroups(piece)
        launch(
            device,
            kernel,
            inputs=piece.inputs,
            outputs=[piece.out.buffer],
            uniforms=piece.uniforms,
            workgroups=(min(x, limit), min(y, limit), min(z, limit)),
            flops=piece.flops,
        )


def any_problem(device: Device, problem: object) -> None:
    """The refusal of an algorithm that has no rules."""


def loops_refusal(device: Device, steps: int) -> str | None:
    """The refusal of a kernel whose threads loop `steps` times in all, where the device has a limit."""
    limit = device.limits.loop_steps
    return None if steps <= limit else f"{steps} loop iterations exceed the {limit} of {device.adapter}"


def fits(limits: Limits, spec: Spec) -> bool:
    """Whether a workgroup of `spec` fits these limits."""
    return spec.threads <= limits.threads and spec.workgroup_bytes <= limits.workgroup_bytes
