"""Maxima and averages over windows of images, under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import UnsupportedError
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply, public
from rusty_py.ops.creation import asarray
from rusty_py.ops.pool import loops, reference, tiles
from rusty_py.ops.pool.problem import Kind, Pooling
from rusty_py.ops.pool.window import (
    Pair,
    PoolWindow,
    channels_first,
    check_images,
    check_layout,
    has_channels_last,
    in_layout,
    window_of,
)
from rusty_py.ops.windows import in_one_binding
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape

_ONE = PoolWindow()


@public
def max_pool2d(
    x: Array | ArrayLike,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    layout: str = "NCHW",
) -> Array:
    """The maximum of each window of images, as torch.nn.functional.max_pool2d.

    x: (batch, channels, height, width), or (batch, height, width, channels) with layout="NHWC"; without the
    batch for one image; float32 or float16, in any strides. Sizes are an integer or two, along height and
    width; `stride` is `kernel_size` by default, and `padding` at most half of the window. Padding is -inf;
    NaN is larger than every number. With `ceil_mode`, windows may end outside of the padding. The gradient
    goes to the first of equal maxima of a window. Raises ShapeError, DtypeError, LimitError, OutOfMemory.
    """
    found = window_of("max_pool2d", kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode)
    return _applied(MAX_POOL, x, found, layout)


@public
def avg_pool2d(
    x: Array | ArrayLike,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    layout: str = "NCHW",
) -> Array:
    """The average of each window of images, as torch.nn.functional.avg_pool2d.

    Parameters are those of `max_pool2d`. Padding is 0, and counts as elements unless `count_include_pad` is
    False; what lies beyond the padding, with `ceil_mode`, never counts. Sums are f32.
    Raises ShapeError, DtypeError, LimitError, OutOfMemory.
    """
    found = window_of(
        "avg_pool2d",
        kernel_size,
        stride,
        padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    return _applied(AVG_POOL, x, found, layout)


@public
def adaptive_avg_pool2d(
    x: Array | ArrayLike, output_size: int | Sequence[int], *, layout: str = "NCHW"
) -> Array:
    """Averages of equal parts of images, as torch.nn.functional.adaptive_avg_pool2d.

    x: as for `max_pool2d`; `output_size`: the height and width of the result, or one integer for both. With 1
    it is the mean of each channel. Raises UnsupportedError for sizes that don't divide the images' evenly,
    ShapeError, DtypeError, LimitError.
    """
    images = asarray(x)
    if images.ndim == 3:
        return adaptive_avg_pool2d(images[None], output_size, layout=layout)[0]
    check_images(images, layout, operation="adaptive_avg_pool2d")
    height, width = window_of("adaptive_avg_pool2d", output_size).kernel
    rows, columns = (1, 2) if layout == "NHWC" else (2, 3)
    if (height, width) == (1, 1):
        return apply(OPERATIONS["mean"], images, axis=(rows, columns), keepdims=True)
    size = images.shape[rows], images.shape[columns]
    if size[0] % height or size[1] % width or 0 in size:
        raise UnsupportedError(
            f"adaptive_avg_pool2d: the output's size divides the image's: {(height, width)}, image {size};"
            " use avg_pool2d"
        )
    return avg_pool2d(images, (size[0] // height, size[1] // width), layout=layout)


def _applied(operation: Operation, x: Array | ArrayLike, window: PoolWindow, layout: str) -> Array:
    """The operation; an image without a batch gets one."""
    check_layout(layout, operation=operation.name)
    images = x if type(x) is Array else asarray(x)
    if len(images.layout.shape) != 3:
        return apply(operation, images, window=window, layout=layout)
    return apply(operation, images[None], window=window, layout=layout)[0]


def _pooled(kind: Kind, name: str, x: Array, window: PoolWindow, layout: str) -> Array:
    check_images(x, layout, operation=name)
    images = in_one_binding(channels_first(x, layout), operation=name)
    problem = Pooling.of(kind, images, window, operation=name)
    if problem.windows == 0:
        return in_layout(problem.of_windows(x.device, operation=name), layout)
    out = tiles.pooled(problem, images, operation=name)
    if out is None:
        out = loops.pooled(problem, images, kind, operation=name)
    return in_layout(out, layout)


def _forward_max(x: Array, *, window: PoolWindow = _ONE, layout: str = "NCHW") -> Array:
    return _pooled("max", "max_pool2d", x, window, layout)


def _forward_avg(x: Array, *, window: PoolWindow = _ONE, layout: str = "NCHW") -> Array:
    return _pooled("avg", "avg_pool2d", x, window, layout)


def _forward_max_gradient(g: Array, x: Array, *, window: PoolWindow, layout: str = "NCHW") -> Array:
    """The gradient g to the first largest tap of each window of x."""
    return _gradient("max", "max_pool2d_gradient", g, x, channels_first(x, layout).shape, window, layout)


def _forward_avg_gradient(g: Array, *, window: PoolWindow, size: Pair, layout: str = "NCHW") -> Array:
    """Equal parts of g to the taps of each window over images of `size`."""
    shape = (*channels_first(g, layout).shape[:2], *size)
    return _gradient("avg", "avg_pool2d_gradient", g, None, shape, window, layout)


def _gradient(
    kind: Kind, name: str, g: Array, x: Array | None, shape: Shape, window: PoolWindow, layout: str
) -> Array:
    given = in_one_binding(channels_first(g, layout), operation=name)
    images = None if x is None else in_one_binding(channels_first(x, layout), operation=name)
    like = given if images is None else images
    batch, channels, height, width = shape
    out_size = window.out_size((height, width), operation=name)
    last = has_channels_last(like)
    problem = Pooling(kind, like.kind, window, (batch, channels, height, width), out_size, last)
    if problem.windows == 0:
        return in_layout(problem.images(g.device, operation=name), layout)
    out = tiles.gradient(problem, given, images, operation=name)
    if out is None:
        out = loops.gradient(problem, given, images, operation=name)
    return in_layout(out, layout)


def _forward_selected(v: Array, x: Array, *, window: PoolWindow, layout: str = "NCHW") -> Array:
    """The element of v at the first largest tap of each window of x."""
    name = "max_pool2d_selected"
    images = in_one_binding(channels_first(x, layout), operation=name)
    problem = Pooling.of("max", images, window, operation=name)
    if problem.windows == 0:
        return in_layout(problem.of_windows(x.device, operation=name), layout)
    found = loops.pooled(
        problem,
        images,
        "selected",
        v=in_one_binding(channels_first(v, layout), operation=name),
        operation=name,
    )
    return in_layout(found, layout)


# Gradients: those of maxima are linear in g, with windows that select the same taps.


def _grad_of_max(g: Array, _out: Layout, x: Array, *, window: PoolWindow, layout: str = "NCHW") -> Array:
    return apply(MAX_GRADIENT, g, x, window=window, layout=layout)


def _grad_of_max_gradient(
    g: Array, _out: Layout, _g: Layout, x: Array, *, window: PoolWindow, layout: str = "NCHW"
) -> Array:
    return apply(SELECTED, g, x, window=window, layout=layout)


def _grad_of_selected(
    g: Array, _out: Layout, _v: Layout, x: Array, *, window: PoolWindow, layout: str = "NCHW"
) -> Array:
    return apply(MAX_GRADIENT, g, x, window=window, layout=layout)


def _grad_of_avg(g: Array, _out: Layout, _x: Layout, *, window: PoolWindow, layout: str = "NCHW") -> Array:
    height, width = _x.shape[1:3] if layout == "NHWC" else _x.shape[2:]
    return apply(AVG_GRADIENT, g, window=window, size=(height, width), layout=layout)


def _grad_of_avg_gradient(
    g: Array, _out: Layout, _g: Layout, *, window: PoolWindow, size: Pair, layout: str = "NCHW"
) -> Array:
    return apply(AVG_POOL, g, window=window, layout=layout)


# What to try them with, and what comes of it.

_SAMPLED: dict[str, tuple[Shape, PoolWindow, str]] = {
    "3x3 stride 2": ((1, 2, 9, 16), PoolWindow((3, 3), (2, 2), (1, 1)), "NCHW"),
    "2x2 of channels": ((1, 6, 5, 8), PoolWindow((2, 2), (2, 2)), "NHWC"),
    "3x2": ((1, 2, 8, 9), PoolWindow((3, 2), (2, 1), (1, 0), ceil_mode=True), "NCHW"),
}


def _samples_of(name: str, operands: Callable[[Dtype, Shape, Shape], tuple[Values, ...]]) -> Iterator[Sample]:
    """Common windows and another one, in both dtypes. `operands` gets the shapes of images and windows."""
    for kind in (F32, F16):
        for title, (shape, window, layout) in _SAMPLED.items():
            size = shape[1:3] if layout == "NHWC" else shape[2:]
            out = window.out_size((size[0], size[1]), operation=name)
            windows = (shape[0], *out, shape[3]) if layout == "NHWC" else (*shape[:2], *out)
            options = {"window": window, "layout": layout}
            if name == "avg_pool2d_gradient":
                options["size"] = size
            yield Sample(f"{name} {kind.name} {title}", operands(kind, shape, windows), options)


def _distinct(kind: Dtype, shape: Shape, *, seed: int = 0) -> tuple[Values, ...]:
    """Numbers that differ by a quarter or more."""
    order = np.random.default_rng(seed).permutation(prod(shape)) / 4 - prod(shape) / 8
    return (order.reshape(shape).astype(kind.numpy),)


def _expected_max(sample: Sample) -> Expected:
    return Expected(reference.max_pool(*sample.operands, **sample.options), None)


def _expected_selected(sample: Sample) -> Expected:
    return Expected(reference.selected_by_max(*sample.operands, **sample.options), None)


def _expected_max_gradient(sample: Sample) -> Expected:
    g, x = sample.operands
    return _sums(reference.max_pool_gradient, (g, x), (np.abs(g), x), sample)


def _expected_avg(sample: Sample) -> Expected:
    (x,) = sample.operands
    return _sums(reference.avg_pool, (x,), (np.abs(x),), sample)


def _expected_avg_gradient(sample: Sample) -> Expected:
    (g,) = sample.operands
    return _sums(reference.avg_pool_gradient, (g,), (np.abs(g),), sample)


def _sums(
    function: Callable[..., Values], given: tuple[Values, ...], sizes: tuple[Values, ...], sample: Sample
) -> Expected:
    """Sums of as many terms as a window has taps at most, each divided, which WGSL does to 2.5 ulp."""
    exact, size = (
        function(*(each.astype(np.float64) for each in operands), **sample.options)
        for operands in (given, sizes)
    )
    kind = F16 if given[0].dtype == F16.numpy else F32
    roundings = (sample.options["window"].taps + 5) * F32.eps / 2
    return Expected(exact, roundings * size + oracle.rounding(exact, ulps=0.5, dtype=kind))


MAX_POOL = OPERATIONS.add(
    Operation(
        "max_pool2d",
        _forward_max,
        kinds="f",
        samples=lambda: _samples_of("max_pool2d", lambda kind, x, _: samples.with_specials(kind, 1, *x)),
        expected=_expected_max,
        gradient=Gradient(_grad_of_max),
        reference=reference.max_pool,
        smooth=_distinct,
    )
)
AVG_POOL = OPERATIONS.add(
    Operation(
        "avg_pool2d",
        _forward_avg,
        kinds="f",
        samples=lambda: _samples_of("avg_pool2d", lambda kind, x, _: (samples.values(kind, *x),)),
        expected=_expected_avg,
        gradient=Gradient(_grad_of_avg),
        reference=reference.avg_pool,
    )
)
MAX_GRADIENT = OPERATIONS.add(
    Operation(
        "max_pool2d_gradient",
        _forward_max_gradient,
        kinds="f",
        samples=lambda: _samples_of(
            "max_pool2d_gradient", lambda kind, x, g: (samples.values(kind, *g, seed=1), *_distinct(kind, x))
        ),
        expected=_expected_max_gradient,
        gradient=Gradient(_grad_of_max_gradient, None),
        reference=reference.max_pool_gradient,
    )
)
SELECTED = OPERATIONS.add(
    Operation(
        "max_pool2d_selected",
        _forward_selected,
        kinds="f",
        samples=lambda: _samples_of(
            "max_pool2d_selected", lambda kind, x, _: (samples.values(kind, *x, seed=1), *_distinct(kind, x))
        ),
        expected=_expected_selected,
        gradient=Gradient(_grad_of_selected, None),
        reference=reference.selected_by_max,
    )
)
AVG_GRADIENT = OPERATIONS.add(
    Operation(
        "avg_pool2d_gradient",
        _forward_avg_gradient,
        kinds="f",
        samples=lambda: _samples_of("avg_pool2d_gradient", lambda kind, _, g: (samples.values(kind, *g),)),
        expected=_expected_avg_gradient,
        gradient=Gradient(_grad_of_avg_gradient),
        reference=reference.avg_pool_gradient,
    )
)
