"""Convolutions: `conv2d`, `conv1d` and `conv_transpose2d`. The operations and algorithms are in conv/."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from rusty_py.activations import ACTIVATIONS
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32
from rusty_py.errors import DeviceError, LimitError, ShapeError
from rusty_py.operation import Operation, apply, public
from rusty_py.ops.conv.geometry import Geometry, Padding, Sizes, geometry_of, index_of, pair_of
from rusty_py.ops.conv.operations import CONV2D, CONV_TRANSPOSE2D, convolution_of
from rusty_py.ops.conv.plan import ConvolutionPlan, plan_of
from rusty_py.ops.conv.select import ALGORITHMS, unknown_algorithm
from rusty_py.ops.creation import asarray
from rusty_py.runtime.device import Device, default_device
from rusty_py.runtime.launch_plans import Planner


class Conv2d:
    """`conv2d(x, w)` computes a convolution; `conv2d.plan(x, w)` returns its plan."""

    __name__ = "conv2d"

    def __call__(
        self,
        x: Array | ArrayLike,
        w: Array | ArrayLike,
        *,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        layout: str = "NCHW",
        algorithm: str = "auto",
    ) -> Array:
        """The convolution of images with kernels, as torch.nn.functional.conv2d: w is not flipped.

        x: (batch, channels, height, width), or (batch, height, width, channels) with layout="NHWC"; without
        the batch for one image. w: (outputs, channels / groups, kernel height, kernel width) in either
        layout. Both are float32 or float16, in any strides, which are read without a copy. The result has
        x's layout, contiguous, and is float16 if both are; sums are float32.

        `bias`, (outputs,), is added before `activation`, a name that `matmul` takes. `stride`, `padding` and
        `dilation` are numbers, or pairs for the height and the width; padding may be "valid", which is 0, or
        "same", for a result of x's size. `algorithm` is "auto" or a name that `plan` shows.
        Raises ShapeError, DtypeError, LimitError, OutOfMemory, and UnsupportedError for an algorithm that
        cannot compute these sizes.
        """
        geometry = geometry_of("conv2d", stride, padding, dilation, groups, layout)
        options = _options("conv2d", geometry, activation, algorithm)
        return _applied(CONV2D, x, w, *([] if bias is None else [bias]), options=options)

    def plan(
        self,
        x: Array | ArrayLike,
        w: Array | ArrayLike,
        *,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        layout: str = "NCHW",
        algorithm: str = "auto",
    ) -> ConvolutionPlan:
        """The plan of `conv2d` with these arguments: algorithm, predicted time and the reason.

        Computes nothing. Raises as `conv2d` does for these shapes, dtypes and options.
        """
        geometry = geometry_of("conv2d", stride, padding, dilation, groups, layout)
        options = _options("conv2d", geometry, activation, algorithm)
        given = [each for each in (x, w, bias) if each is not None]
        device = next((each.device for each in given if isinstance(each, Array)), None) or default_device()

        def planned() -> ConvolutionPlan:
            x, w, *rest = (_as_planned(each, device) for each in given)
            if x.ndim == 3:
                x = x.reshape((1, *x.shape))
            out, problem = convolution_of(
                x, w, *rest, geometry=geometry, activation=options.get("activation", "")
            )
            if problem is None:
                raise ShapeError(f"conv2d: nothing to plan: x {x.shape} with w {w.shape} has no terms")
            text = f"{_sizes(x)} * {_sizes(w)} -> {_sizes(out)}, {out.kind.name} {_described(geometry)}"
            return plan_of(device, problem, algorithm, operation="conv2d", text=text)

        return device.compose(Planner(device), planned)


conv2d = public(Conv2d())


@public
def conv1d(
    x: Array | ArrayLike,
    w: Array | ArrayLike,
    *,
    bias: Array | ArrayLike | None = None,
    activation: str | None = None,
    stride: int = 1,
    padding: int | Literal["same", "valid"] = 0,
    dilation: int = 1,
    groups: int = 1,
    layout: str = "NCL",
    algorithm: str = "auto",
) -> Array:
    """The convolution of sequences with kernels, as torch.nn.functional.conv1d: `conv2d` of a height of 1.

    x: (batch, channels, length), or (batch, length, channels) with layout="NLC"; without the batch for one
    sequence. w: (outputs, channels / groups, kernel length). Otherwise as `conv2d`, and it raises the same.
    """
    if not isinstance(layout, str) or layout not in ("NCL", "NLC"):
        raise LimitError(f"conv1d: no such layout: {layout!r}; choose NCL or NLC")
    steps, apart = (1, index_of("conv1d", "stride", stride)), (1, index_of("conv1d", "dilation", dilation))
    pads: Padding = padding if isinstance(padding, str) else (0, index_of("conv1d", "padding", padding))
    geometry = geometry_of("conv1d", steps, pads, apart, groups, layout.replace("L", "HW"))
    options = _options("conv1d", geometry, activation, algorithm)
    options["caller"] = "conv1d"
    x, w, *rest = _on_one_device("conv1d", x, w, *([] if bias is None else [bias]))
    if x.ndim not in (2, 3) or w.ndim != 3:
        raise ShapeError(f"conv1d: x and w have 3 axes, x 2 for one sequence: {x.shape}, {w.shape}")
    height = x.ndim - 2 + (layout == "NCL")
    images = x.reshape((*x.shape[:height], 1, *x.shape[height:]))
    result = _applied(CONV2D, images, w.reshape((*w.shape[:2], 1, w.shape[2])), *rest, options=options)
    return result.reshape((*result.shape[:height], *result.shape[height + 1 :]))


@public
def conv_transpose2d(
    x: Array | ArrayLike,
    w: Array | ArrayLike,
    *,
    bias: Array | ArrayLike | None = None,
    activation: str | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> Array:
    """The transposed convolution, as torch.nn.functional.conv_transpose2d: the gradient of conv2d's input.

    x: (batch, channels, height, width), as for `conv2d`. w: (channels, outputs / groups, kernel height,
    kernel width). The height of the result is (height - 1) * stride - 2 * padding + dilation * (kernel height
    - 1) + 1 + output_padding, which is less than the stride or the dilation. Computed by the algorithms of
    `conv2d`, without zeros between pixels. Raises as `conv2d` does.
    """
    if isinstance(padding, str):
        raise ShapeError(f"conv_transpose2d: padding is a number or a pair of numbers: {padding!r}")
    geometry = geometry_of("conv_transpose2d", stride, padding, dilation, groups, layout)
    options = _options("conv_transpose2d", geometry, activation, algorithm)
    more = pair_of("conv_transpose2d", "output_padding", output_padding)
    if more != (0, 0):
        bounds = [max(each) for each in zip(geometry.stride, geometry.dilation, strict=True)]
        if not all(0 <= size < bound for size, bound in zip(more, bounds, strict=True)):
            raise ShapeError(
                f"conv_transpose2d: output_padding is less than the stride or the dilation: {more} for"
                f" {geometry.stride} and {geometry.dilation}"
            )
        options["output_padding"] = more
    return _applied(CONV_TRANSPOSE2D, x, w, *([] if bias is None else [bias]), options=options)


def _options(operation: str, geometry: Geometry, activation: str | None, algorithm: str) -> dict[str, Any]:
    """The options of the operation; those that have their default are left out."""
    options: dict[str, Any] = {"geometry": geometry}
    if activation is not None and not (isinstance(activation, str) and activation == "none"):
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            names = ", ".join(("none", *ACTIVATIONS))
            raise LimitError(f"{operation}: no such activation: {activation!r}; choose one of {names}")
        options["activation"] = str(activation)
    if not isinstance(algorithm, str) or algorithm not in ("auto", *ALGORITHMS):
        raise unknown_algorithm(operation, algorithm, ALGORITHMS)
    if algorithm != "auto":
        options["algorithm"] = algorithm
    return options


def _applied(operation: Operation, *given: Array | ArrayLike, options: dict[str, Any]) -> Array:
    """The operation on x, w and the bias if any; images without a batch get one."""
    if any(type(each) is not Array for each in given):
        given = _on_one_device(operation.name, *given)
    x, *rest = given
    assert type(x) is Array
    if len(x.layout.shape) != 3:
        return apply(operation, x, *rest, **options)
    result = apply(operation, x.reshape((1, *x.shape)), *rest, **options)
    return result.reshape(result.shape[1:])


def _on_one_device(operation: str, *given: Array | ArrayLike) -> tuple[Array, ...]:
    """Arrays of all that is given, on the device of the first that is one."""
    device = next((each.device for each in given if isinstance(each, Array)), None)
    for each in given:
        if isinstance(each, Array) and each.device is not device:
            raise DeviceError(f"{operation}: an array of another device: {each.device}, not {device}")
    return tuple(asarray(each, device=device) for each in given)


def _as_planned(x: Array | ArrayLike, device: Device) -> Array:
    """The array; for a NumPy array or a list, one without memory, of the shape and dtype of its copy."""
    if isinstance(x, Array):
        return asarray(x, device=device)
    host = np.asarray(x)
    return allocate(device, host.shape, F16 if host.dtype == F16.numpy else F32, operation="conv2d")


def _sizes(x: Array) -> str:
    return "x".join(map(str, x.shape))


def _described(geometry: Geometry) -> str:
    """The layout, and the options that differ from their defaults."""
    default = Geometry()
    names = ("stride", "padding", "dilation", "groups")
    values = {name: getattr(geometry, name) for name in names}
    changed = [
        f"{name} {'same' if each is None else each}"
        for name, each in values.items()
        if each != getattr(default, name)
    ]
    return ", ".join([geometry.layout, *changed])
