"""Convolutions of NumPy arrays in float64, their error bounds, and samples to try them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rusty_py import oracle, samples
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.conv.correlation import Pair
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.winograd import bound as winograd_bound
from rusty_py.ops.conv.winograd.forms import F2, F4, GRADIENT, TAPS, Form
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values


def conv2d(
    x: Values,
    w: Values,
    bias: Values | None = None,
    *,
    geometry: Geometry,
    activation: str = "",
    algorithm: str = "auto",
) -> Values:
    """The convolution of x in the geometry's layout."""
    x5, w5 = _pixels(x, geometry), _weights(w, geometry)
    size = geometry.out_size(geometry.size(x.shape), (w.shape[2], w.shape[3]))
    out = np.zeros((*x5.shape[:2], w5.shape[1], *size))
    padded = _padded(x5, geometry, w5.shape[3:])
    for i, j in np.ndindex(w5.shape[3:]):
        out += np.einsum("ngcyx,goc->ngoyx", padded[..., *_tap(geometry, i, j, size)], w5[..., i, j])
    return _finished(out, bias, geometry, activation)


def conv_transpose2d(
    x: Values,
    w: Values,
    bias: Values | None = None,
    *,
    geometry: Geometry,
    output_padding: Pair = (0, 0),
    activation: str = "",
    algorithm: str = "auto",
) -> Values:
    """The transposed convolution of x in the geometry's layout."""
    x5, w5 = _pixels(x, geometry), _weights(w, geometry)
    kernel, size = (w.shape[2], w.shape[3]), geometry.size(x.shape)
    height, width = np.add(geometry.transposed_size(size, kernel), output_padding)
    out = np.zeros((*x5.shape[:2], w5.shape[2], height, width))
    padded = np.zeros_like(_padded(out, geometry, kernel))
    for i, j in np.ndindex(kernel):
        padded[..., *_tap(geometry, i, j, size)] += np.einsum("ngoyx,goc->ngcyx", x5, w5[..., i, j])
    (top, _), (left, _) = geometry.pads(kernel)
    out[...] = padded[..., top : top + height, left : left + width]
    return _finished(out, bias, geometry, activation)


def weight_gradient(
    x: Values, g: Values, *, geometry: Geometry, kernel: Pair, algorithm: str = "auto"
) -> Values:
    """The gradient of a convolution's weights, by that of its result, g."""
    x5, g5 = _pixels(x, geometry), _pixels(g, geometry)
    padded = _padded(x5, geometry, kernel)
    dw = np.zeros((geometry.groups, g5.shape[2], x5.shape[2], *kernel))
    for i, j in np.ndindex(kernel):
        windows = padded[..., *_tap(geometry, i, j, (g5.shape[3], g5.shape[4]))]
        dw[..., i, j] = np.einsum("ngcyx,ngoyx->goc", windows, g5)
    return dw.reshape(-1, *dw.shape[2:])


def _tap(geometry: Geometry, i: int, j: int, size: Pair) -> tuple[slice, slice]:
    """The padded pixels that a tap reads for a result of this size."""
    rows, columns = (
        slice(at * apart, at * apart + (count - 1) * step + 1, step)
        for at, apart, count, step in zip((i, j), geometry.dilation, size, geometry.stride, strict=True)
    )
    return rows, columns


def _pixels(x: Values, geometry: Geometry) -> Values:
    """(batch, groups, channels / groups, height, width) in float64."""
    moved = x if geometry.layout == "NCHW" else np.moveaxis(x, 3, 1)
    batch, channels, *size = moved.shape
    return moved.reshape(batch, geometry.groups, channels // geometry.groups, *size).astype(np.float64)


def _weights(w: Values, geometry: Geometry) -> Values:
    """(groups, outputs / groups, channels, kernel height, kernel width) in float64."""
    return w.reshape(geometry.groups, w.shape[0] // geometry.groups, *w.shape[1:]).astype(np.float64)


def _padded(x5: Values, geometry: Geometry, kernel: tuple[int, ...]) -> Values:
    return np.pad(x5, ((0, 0), (0, 0), (0, 0), *geometry.pads((kernel[0], kernel[1]))))


def _finished(out: Values, bias: Values | None, geometry: Geometry, activation: str) -> Values:
    """`out` in its layout, with bias and activation."""
    batch, groups, outputs, *size = out.shape
    found: Values = out.reshape(batch, groups * outputs, *size)
    if bias is not None:
        found = found + bias.astype(np.float64)[:, None, None]
    if activation:
        found = np.asarray(ACTIVATIONS[activation].of(found))
    return found if geometry.layout == "NCHW" else np.ascontiguousarray(np.moveaxis(found, 1, 3))


_REFERENCES: dict[str, Callable[..., Values]] = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "conv2d_weight_gradient": weight_gradient,
}


def expected(name: str, sample: Sample) -> Expected:
    """The result of the operation `name` in float64, with the rounding bound of a sum of its terms in f32.

    Where "auto" may select Winograd's algorithm, the larger of its bound and that.
    """
    options: dict[str, Any] = dict(sample.options)
    activation = options.pop("activation", "")
    x, w = sample.operands[:2]
    reference = np.asarray(_REFERENCES[name](x, w, **options))
    size = np.asarray(_REFERENCES[name](np.abs(x), np.abs(w), **options))
    bound = oracle.rounding_factor(_terms(name, x, w, options["geometry"]), F32) * size
    form = _FORMS.get(options.get("algorithm", "auto"))
    kernel = options.get("kernel", w.shape[2:])
    if form is not None and _takes(kernel, options["geometry"]):
        if name == "conv2d_weight_gradient":
            of_form = _winograd_weights_bound(x, w, options["geometry"])
        else:
            of_form = _winograd_bound(name, form, x, w, options["geometry"], reference.shape)
        bound = np.maximum(bound, of_form)
    if len(sample.operands) > 2:
        bias = sample.operands[2].astype(np.float64)
        terms = [bias[:, None, None] if options["geometry"].layout == "NCHW" else bias]
    else:
        terms = []
    reference, bound = oracle.finished(reference, bound, terms=terms, activation=activation)
    half = all(each.dtype == F16.numpy for each in (x, w))
    tiny = oracle.rounding(reference, ulps=0.5, dtype=F16 if half else F32)
    return Expected(reference, bound + tiny)


_FORMS = {"auto": F2, "winograd": F2, "winograd4": F4}


def _takes(kernel: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether Winograd's algorithm computes such a convolution; all others are refused."""
    plain = geometry.stride == geometry.dilation == (1, 1) and geometry.groups == 1
    return plain and kernel == (TAPS, TAPS)


def _winograd_bound(
    name: str, form: Form, x: Values, w: Values, geometry: Geometry, shape: tuple[int, ...]
) -> Values:
    """That of a convolution, or a transposed one."""
    w5 = _weights(w, geometry)
    (top, _), (left, _) = geometry.pads((TAPS, TAPS))
    start = -top, -left
    if name == "conv_transpose2d":
        w5 = w5.swapaxes(1, 2)[..., ::-1, ::-1]
        start = top - TAPS + 1, left - TAPS + 1
    size = geometry.size(shape)
    found = winograd_bound.magnitude(_pixels(x, geometry), w5, form, start=start, size=size)
    return winograd_bound.factor(form, w5.shape[2]) * _finished(found, None, geometry, "")


def _winograd_weights_bound(x: Values, g: Values, geometry: Geometry) -> Values:
    """That of a gradient of weights."""
    (top, _), (left, _) = geometry.pads((TAPS, TAPS))
    pixels = _pixels(x, geometry), _pixels(g, geometry)
    magnitude, tiles = winograd_bound.weights_magnitude(*pixels, start=(-top, -left))
    found: Values = winograd_bound.factor(GRADIENT, tiles) * magnitude[0]
    return found


def _terms(name: str, x: Values, w: Values, geometry: Geometry) -> int:
    """How many products one sum has at most."""
    if name == "conv2d_weight_gradient":
        size = geometry.size(w.shape)
        return int(w.shape[0] * size[0] * size[1])
    return int(np.prod(w.shape[1:] if name == "conv2d" else (w.shape[0] // geometry.groups, *w.shape[2:])))


CASES = (
    ("plain", (1, 2, 5, 6), (3, 2, 3, 3), Geometry()),
    ("strided", (2, 2, 5, 6), (2, 2, 3, 2), Geometry((2, 3), (1, 0))),
    ("grouped", (1, 4, 5, 5), (6, 2, 2, 3), Geometry((2, 1), (0, 2), (1, 2), 2)),
    ("depthwise", (1, 3, 6, 4), (3, 1, 3, 3), Geometry((1, 1), None, (2, 1), 3)),
    ("pointwise", (2, 5, 2, 3), (4, 5, 1, 1), Geometry()),
    ("NHWC", (1, 6, 5, 2), (3, 2, 3, 2), Geometry((1, 2), (1, 1), layout="NHWC")),
)
"""Shapes of x and w, and the geometry."""


def convolution_samples() -> Iterator[Sample]:
    """Each case in f32, some with bias and activation; two in f16."""
    for i, (name, x, w, geometry) in enumerate(CASES):
        yield _sample("conv2d", name, F32, (x, w, (w[0],)), geometry, bias=i % 2 == 1)
    for name, x, w, geometry in (CASES[1], CASES[5]):
        yield _sample("conv2d", name, F16, (x, w, (w[0],)), geometry, bias=True)


def transposed_samples() -> Iterator[Sample]:
    """Each case the other way: x is a result there."""
    for i, (name, shape, w, geometry) in enumerate(CASES):
        x = _result(geometry, shape, w)
        outputs = w[1] * geometry.groups
        operands = x, w, (outputs,)
        more = (1, 0) if geometry.stride[0] > 1 else (0, 0)
        yield _sample("conv_transpose2d", name, F32, operands, geometry, bias=i % 2 == 1, output_padding=more)
    name, shape, w, geometry = CASES[2]
    operands = _result(geometry, shape, w), w, (w[1] * geometry.groups,)
    yield _sample("conv_transpose2d", name, F16, operands, geometry, bias=False)


def weight_samples() -> Iterator[Sample]:
    """Each case's x, and the gradient of its result."""
    for kind, cases in ((F32, CASES), (F16, CASES[1:2])):
        for name, x, w, geometry in cases:
            operands = x, _result(geometry, x, w)
            yield _sample(
                "conv2d_weight_gradient", name, kind, operands, geometry, bias=False, kernel=(w[2], w[3])
            )


def _result(geometry: Geometry, x: tuple[int, ...], w: tuple[int, ...]) -> tuple[int, ...]:
    return geometry.shape(x[0], w[0], geometry.out_size(geometry.size(x), (w[2], w[3])))


def _sample(
    operation: str,
    name: str,
    kind: Dtype,
    shapes: tuple[tuple[int, ...], ...],
    geometry: Geometry,
    *,
    bias: bool,
    **options: object,
) -> Sample:
    operands = [samples.values(kind, *shape, seed=i) for i, shape in enumerate(shapes)]
    if bias:
        options["activation"] = "silu"
    return Sample(
        f"{operation} {kind.name}, {name}",
        tuple(operands if bias else operands[:2]),
        {"geometry": geometry, **options},
    )
