"""The operations of convolutions, which are closed under gradients.

The gradients of each of the convolution, the transposed convolution and the gradient of a convolution's
weights are again of these three kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32
from rusty_py.errors import DtypeError
from rusty_py.operation import OPERATIONS, Cost, Gradient, Operation, apply, once_each
from rusty_py.ops.conv import problems, reference
from rusty_py.ops.conv.correlation import Correlation, Pair
from rusty_py.ops.conv.geometry import Geometry, check_operands, result_size, transposed_result_size
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS, selected
from rusty_py.ops.creation import zeros
from rusty_py.ops.epilogue import before_activation
from rusty_py.ops.matmul_operands import bias_row
from rusty_py.ops.windows import in_one_binding

# What is launched.


def _forward(
    x: Array,
    w: Array,
    *bias: Array,
    geometry: Geometry,
    activation: str = "",
    algorithm: str = "auto",
    caller: str = "conv2d",
) -> Array:
    """`caller` is the name in errors."""
    out, problem = convolution_of(x, w, *bias, geometry=geometry, activation=activation, operation=caller)
    if problem is None:
        return _without_terms(out, bias, geometry, activation)
    selected(x.device, problem, ALGORITHMS, algorithm, operation=caller).run(x.device, problem)
    return out


def convolution_of(
    x: Array, w: Array, *bias: Array, geometry: Geometry, activation: str = "", operation: str = "conv2d"
) -> tuple[Array, Correlation | None]:
    """The result of a convolution, and what writes it; None where there are no terms."""
    x, w, row = _operands(operation, x, w, bias)
    bias_shape = None if row is None else row.shape
    check_operands(operation, geometry, x.shape, w.shape, bias_shape, transposed=False)
    kernel = w.shape[2], w.shape[3]
    size = result_size(operation, geometry, geometry.size(x.shape), kernel)
    shape = geometry.shape(x.shape[0], w.shape[0], size)
    out = in_one_binding(allocate(x.device, shape, x.kind, operation=operation), operation=operation)
    if not (x.size and w.size):
        return out, None
    return out, problems.convolution(geometry, x, w, out, row, activation)


def _forward_transposed(
    x: Array,
    w: Array,
    *bias: Array,
    geometry: Geometry,
    output_padding: Pair = (0, 0),
    activation: str = "",
    algorithm: str = "auto",
) -> Array:
    name = "conv_transpose2d"
    x, w, row = _operands(name, x, w, bias)
    check_operands(name, geometry, x.shape, w.shape, None if row is None else row.shape, transposed=True)
    kernel = w.shape[2], w.shape[3]
    size = transposed_result_size(name, geometry, geometry.size(x.shape), kernel, output_padding)
    shape = geometry.shape(x.shape[0], w.shape[1] * geometry.groups, size)
    out = in_one_binding(allocate(x.device, shape, x.kind, operation=name), operation=name)
    terms = x.size and w.size
    if not terms or problems.leaves_pixels(geometry, shape, kernel):
        out = _without_terms(out, bias, geometry, activation)
    if not terms:
        return out
    for phase in problems.transposed(geometry, x, w, out, row, activation):
        selected(x.device, phase, ALGORITHMS, algorithm, operation=name).run(x.device, phase)
    return out


def _forward_weights(
    x: Array, g: Array, *, geometry: Geometry, kernel: Pair, algorithm: str = "auto"
) -> Array:
    name = "conv2d_weight_gradient"
    x, g, _ = _operands(name, x, g, ())
    shape = (geometry.channels(g.shape), geometry.channels(x.shape) // geometry.groups, *kernel)
    if not (x.size and g.size):
        return zeros(shape, dtype=x.kind, device=x.device)
    dw = in_one_binding(allocate(x.device, shape, x.kind, operation=name), operation=name)
    problem = problems.weight_gradient(geometry, x, g, dw)
    selected(x.device, problem, WEIGHT_ALGORITHMS, algorithm, operation=name).run(x.device, problem)
    return dw


def _operands(
    operation: str, x: Array, w: Array, bias: tuple[Array, ...]
) -> tuple[Array, Array, Array | None]:
    """x and w in the dtype of the result, and the bias as a contiguous row."""
    for each in (x, w, *bias):
        if each.kind.kind != "f":
            raise DtypeError(f'{operation}: not for {each.kind.name}: convert with .astype("f32")')
    kind = F16 if x.kind is w.kind is F16 else F32
    row = bias_row(bias[0], kind, x.device) if bias else None
    x, w = (in_one_binding(each.astype(kind, copy=False), operation=operation) for each in (x, w))
    return x, w, row


def _without_terms(out: Array, bias: tuple[Array, ...], geometry: Geometry, activation: str) -> Array:
    """The result of sums of no terms: `out` without elements, or the activation of the bias."""
    if not out.size:
        return out
    result = zeros(out.shape, dtype=out.kind, device=out.device)
    if bias:
        channels = (-1, 1, 1) if geometry.layout == "NCHW" else (-1,)
        result = (result + bias[0].reshape(channels)).astype(out.kind, copy=False)
    return apply(OPERATIONS[activation], result) if activation else result


# Gradients.


def _gradient(
    g: Array,
    out: Array,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    wanted: Sequence[bool],
    geometry: Geometry,
    activation: str = "",
    algorithm: str = "auto",
    caller: str = "conv2d",
) -> list[Array | None]:
    if activation:
        g = before_activation(g, out, activation, partial(_again, CONV2D, x, w, bias, geometry=geometry))
    return [
        _of_input(g, w, geometry, x.shape) if wanted[0] else None,
        _of_weights(x, g, geometry, w) if wanted[1] else None,
        *[_of_bias(g, geometry) if each else None for each in wanted[2:]],
    ]


def _gradient_transposed(
    g: Array,
    out: Array,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    wanted: Sequence[bool],
    geometry: Geometry,
    activation: str = "",
    algorithm: str = "auto",
    **options: Any,
) -> list[Array | None]:
    if activation:
        again = partial(_again, CONV_TRANSPOSE2D, x, w, bias, geometry=geometry, **options)
        g = before_activation(g, out, activation, again)
    return [
        _cropped(apply(CONV2D, g, w, geometry=geometry), geometry, x.shape) if wanted[0] else None,
        _of_weights(g, x, geometry, w) if wanted[1] else None,
        *[_of_bias(g, geometry) if each else None for each in wanted[2:]],
    ]


def _gradient_weights(
    u: Array,
    _out: Array,
    x: Array,
    g: Array,
    *,
    wanted: Sequence[bool],
    geometry: Geometry,
    kernel: Pair,
    algorithm: str = "auto",
) -> list[Array | None]:
    """Those of the gradient of weights: u takes the place of the weights."""
    return [
        _of_input(g, u, geometry, x.shape) if wanted[0] else None,
        _cropped(apply(CONV2D, x, u, geometry=geometry), geometry, g.shape) if wanted[1] else None,
    ]


def _again(operation: Operation, x: Array, w: Array, bias: Array | None, **options: Any) -> Array:
    return apply(operation, x, w, *([] if bias is None else [bias]), **options)


def _of_input(g: Array, w: Array, geometry: Geometry, shape: tuple[int, ...]) -> Array:
    """The gradient of a convolution's input of this shape."""
    found = geometry.transposed_size(geometry.size(g.shape), (w.shape[2], w.shape[3]))
    height, width = (size - each for size, each in zip(geometry.size(shape), found, strict=True))
    return apply(CONV_TRANSPOSE2D, g, w, geometry=geometry, output_padding=(height, width))


def _of_weights(x: Array, g: Array, geometry: Geometry, w: Array) -> Array:
    return apply(CONV2D_WEIGHT_GRADIENT, x, g, geometry=geometry, kernel=(w.shape[2], w.shape[3]))


def _of_bias(g: Array, geometry: Geometry) -> Array:
    return g.sum(axis=(0, 2, 3) if geometry.layout == "NCHW" else (0, 1, 2))


def _cropped(x: Array, geometry: Geometry, shape: tuple[int, ...]) -> Array:
    """The pixels of x that an array of this shape has; output_padding of a stride or more makes others."""
    if x.shape == shape:
        return x
    height, width = geometry.size(shape)
    return x[:, :, :height, :width] if geometry.layout == "NCHW" else x[:, :height, :width]


def _cost(name: str, arrays: Sequence[Array], result: Array) -> Cost:
    """Two flops for each product; operands and result once each."""
    x, w = arrays[:2]
    if name == "conv2d":
        terms = result.size * prod(w.shape[1:])
    elif name == "conv_transpose2d":
        terms = x.size * prod(w.shape[1:])
    else:
        terms = w.size * prod(result.shape[1:])
    return Cost(2 * terms, once_each(arrays, result).nbytes)


def _operation(name: str, **record: Any) -> Operation:
    return OPERATIONS.add(
        Operation(
            name, kinds="f", expected=partial(reference.expected, name), cost=partial(_cost, name), **record
        )
    )


CONV2D = _operation(
    "conv2d",
    forward=_forward,
    samples=reference.convolution_samples,
    reference=reference.conv2d,
    gradient=Gradient(joint=_gradient),
)
CONV_TRANSPOSE2D = _operation(
    "conv_transpose2d",
    forward=_forward_transposed,
    samples=reference.transposed_samples,
    reference=reference.conv_transpose2d,
    gradient=Gradient(joint=_gradient_transposed),
)
CONV2D_WEIGHT_GRADIENT = _operation(
    "conv2d_weight_gradient",
    forward=_forward_weights,
    samples=reference.weight_samples,
    reference=reference.weight_gradient,
    gradient=Gradient(joint=_gradient_weights),
)
