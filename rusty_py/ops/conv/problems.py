"""The correlations of convolutions, transposed convolutions and gradients of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd

from rusty_py.arrays import Array
from rusty_py.ops.conv.correlation import Correlation, Pair, Taps, WeightCorrelation
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, View


def convolution(
    geometry: Geometry, x: Array, w: Array, out: Array, bias: Array | None, activation: str
) -> Correlation:
    """The correlation that writes the convolution of x, in the geometry's layout, to `out`."""
    taps = _taps(geometry, w.shape[2:])
    return Correlation(
        pixels(x, geometry), weights(w, geometry), pixels(out, geometry), taps, bias, activation
    )


def weight_gradient(geometry: Geometry, x: Array, g: Array, dw: Array) -> WeightCorrelation:
    """The gradient of a convolution's weights, by that of its result, g."""
    taps = _taps(geometry, dw.shape[2:])
    return WeightCorrelation(pixels(x, geometry), pixels(g, geometry), weights(dw, geometry), taps)


def transposed(
    geometry: Geometry, x: Array, w: Array, out: Array, bias: Array | None, activation: str
) -> Iterator[Correlation]:
    """The correlations that write a transposed convolution to `out`: one for each phase that has taps.

    Pixel s * t + r of the result, of phase r, meets every (s / gcd(s, dilation))-th tap, in reverse order: so
    a phase is a correlation of stride 1.
    """
    x, out = pixels(x, geometry), pixels(out, geometry)
    groups, channels, outputs = weights(w, geometry).shape[:3]
    group, channel, output, row, column = weights(w, geometry).strides
    for y, z in product(*_phases_of(geometry, out.shape[3:], w.shape[2:])):
        taps = Taps((y.start, z.start), (1, 1), (y.dilation, z.dilation))
        w_offset = w.offset + y.last_tap * row + z.last_tap * column
        w_strides = (group, output, channel, -y.tap_step * row, -z.tap_step * column)
        phase_w = w.view(View(w_offset, (groups, outputs, channels, y.count, z.count), w_strides))
        yield Correlation(x, phase_w, _every(out, (y, z), geometry.stride), taps, bias, activation)


def leaves_pixels(geometry: Geometry, out: Shape, kernel: Shape) -> bool:
    """Whether some pixels of a transposed convolution's result, of shape `out`, have no taps."""
    size = geometry.size(out)
    phases = _phases_of(geometry, size, kernel)
    return any(sum(each.pixels for each in axis) < length for axis, length in zip(phases, size, strict=True))


@dataclass(frozen=True)
class _Phase:
    """Every stride-th pixel of an axis, from `first` on, and its `count` taps from the last one backwards."""

    first: int
    pixels: int
    count: int
    last_tap: int
    tap_step: int
    start: int
    dilation: int


def _phases_of(geometry: Geometry, size: Shape, kernel: Shape) -> list[list[_Phase]]:
    """The phases that have taps, of the height and of the width."""
    starts = [before for before, _ in geometry.pads((kernel[0], kernel[1]))]
    axes = zip(size, kernel, geometry.stride, geometry.dilation, starts, strict=True)
    return [list(_phases(*each)) for each in axes]


def _phases(size: int, taps: int, stride: int, dilation: int, before: int) -> Iterator[_Phase]:
    """The phases of an axis of `size` pixels that have taps.

    Tap i adds pixel p of x to pixel p * stride + i * dilation - before.
    """
    common = gcd(stride, dilation)
    step, apart = stride // common, dilation // common
    for tap in range(min(step, taps)):
        first = (tap * dilation - before) % stride
        if first < size:
            count = ceil_div(taps - tap, step)
            last = count - 1
            start = (first + before - tap * dilation) // stride - last * apart
            yield _Phase(first, ceil_div(size - first, stride), count, tap + last * step, step, start, apart)


def _every(out: Array, phases: tuple[_Phase, _Phase], stride: Pair) -> Array:
    """The pixels of two phases."""
    *outer, row, column = out.strides
    offset = out.offset + phases[0].first * row + phases[1].first * column
    shape = (*out.shape[:3], phases[0].pixels, phases[1].pixels)
    return out.view(View(offset, shape, (*outer, stride[0] * row, stride[1] * column)))


def _taps(geometry: Geometry, kernel: tuple[int, ...]) -> Taps:
    (top, _), (left, _) = geometry.pads((kernel[0], kernel[1]))
    return Taps((-top, -left), geometry.stride, geometry.dilation)


def pixels(x: Array, geometry: Geometry) -> Array:
    """An array in the geometry's layout as (batch, groups, channels / groups, height, width)."""
    batch, *sizes = x.shape
    image, *steps = x.strides
    if geometry.layout == "NHWC":
        sizes, steps = [sizes[2], *sizes[:2]], [steps[2], *steps[:2]]
    channels, channel = sizes[0] // geometry.groups, steps[0]
    shape = (batch, geometry.groups, channels, *sizes[1:])
    return x.view(View(x.offset, shape, (image, channel * channels, channel, *steps[1:])))


def weights(w: Array, geometry: Geometry) -> Array:
    """Weights as (groups, outputs / groups, channels, kernel height, kernel width)."""
    outputs, output = w.shape[0] // geometry.groups, w.strides[0]
    shape = (geometry.groups, outputs, *w.shape[1:])
    return w.view(View(w.offset, shape, (output * outputs, output, *w.strides[1:])))
