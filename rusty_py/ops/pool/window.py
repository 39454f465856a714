"""The windows of a pooling operation: their parameters, where they lie, and the images that they go over."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rusty_py.arrays import Array
from rusty_py.errors import DtypeError, LimitError, ShapeError
from rusty_py.shapes import ceil_div, is_sizes

Pair = tuple[int, int]
"""Along the height and the width."""

Sizes = int | Sequence[int]
"""An integer for both, or two."""

LAYOUTS = ("NCHW", "NHWC")

POSITIONS = 1 << 31
"""Kernels compute positions of taps as words with a sign."""


@dataclass(frozen=True)
class PoolWindow:
    """The parameters of PyTorch's pooling, each along the height and the width.

    The window (y, x) has the taps (y * stride[0] - padding[0] + i * dilation[0], the same along the width)
    for i below kernel[0]; those outside of the image do not exist. `count_include_pad` is for averages.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False
    count_include_pad: bool = True

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def reach(self) -> Pair:
        """From the first to the last tap of a window, both included."""
        height, width = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return height, width

    def out_size(self, size: Pair, *, operation: str) -> Pair:
        """How many windows an image of `size` has.

        Raises ShapeError if there are none, LimitError where positions of taps exceed a word.
        """
        out = tuple(self._count(axis, size[axis]) for axis in (0, 1))
        if min(out) < 1:
            raise ShapeError(
                f"{operation}: the window is larger than the image: {self.reach} with padding"
                f" {self.padding}, image {size}"
            )
        ends = [size[i] + 2 * self.padding[i] + self.reach[i] for i in (0, 1)]
        if max(ends) >= POSITIONS:
            raise LimitError(
                f"{operation}: image, padding and window are less than {POSITIONS} pixels together:"
                f" {size}, twice {self.padding} and {self.reach}"
            )
        return out[0], out[1]

    def _count(self, axis: int, size: int) -> int:
        stride, padding = self.stride[axis], self.padding[axis]
        steps = size + 2 * padding - self.reach[axis]
        if size < 1 or (steps < 0 and not self.ceil_mode):
            return 0
        count = (ceil_div(steps, stride) if self.ceil_mode else steps // stride) + 1
        # With ceil_mode, the last window begins inside the image or the padding before it.
        return count - 1 if self.ceil_mode and (count - 1) * stride >= size + padding else count

    def stays_inside(self, size: Pair, out: Pair) -> bool:
        """Whether every tap of every window is in the image."""
        ends = [(out[i] - 1) * self.stride[i] + self.reach[i] - self.padding[i] for i in (0, 1)]
        return self.padding == (0, 0) and ends[0] <= size[0] and ends[1] <= size[1]

    def has_equal_divisors(self, size: Pair, out: Pair) -> bool:
        """Whether the average of every window divides by the number of its taps."""
        if not self.count_include_pad:
            return self.stays_inside(size, out)
        ends = [(out[i] - 1) * self.stride[i] + self.kernel[i] - self.padding[i] for i in (0, 1)]
        return ends[0] <= size[0] + self.padding[0] and ends[1] <= size[1] + self.padding[1]


def window_of(
    operation: str,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    *,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> PoolWindow:
    """The window that a user's arguments say. Raises ShapeError for those out of range."""
    given = (operation, kernel_size, stride, padding, dilation, ceil_mode, count_include_pad)
    cached = is_sizes(kernel_size) and (stride is None or is_sizes(stride)) and is_sizes(padding)
    if cached and is_sizes(dilation) and type(ceil_mode) is type(count_include_pad) is bool:
        return _cached(*given)
    return _window(*given)


def _window(
    operation: str,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
) -> PoolWindow:
    kernel = _pair("kernel_size", kernel_size, 1, operation)
    found = PoolWindow(
        kernel,
        kernel if stride is None else _pair("stride", stride, 1, operation),
        _pair("padding", padding, 0, operation),
        _pair("dilation", dilation, 1, operation),
        _flag("ceil_mode", ceil_mode, operation),
        _flag("count_include_pad", count_include_pad, operation),
    )
    if any(2 * p > reach for p, reach in zip(found.padding, found.reach, strict=True)):
        raise ShapeError(
            f"{operation}: padding is at most half of the window: {found.padding}, window {found.reach}"
        )
    return found


_cached = lru_cache(512)(_window)  # At every call of an operation.


def _flag(name: str, value: bool, operation: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ShapeError(f"{operation}: {name} is True or False: {value!r}")
    return bool(value)


def _pair(name: str, value: Sizes, smallest: int, operation: str) -> Pair:
    try:
        given = value if isinstance(value, list | tuple) else (value, value)
        pair = tuple(map(operator.index, given))
    except TypeError:
        pair = ()
    if len(pair) != 2 or min(pair) < smallest:
        raise ShapeError(
            f"{operation}: {name} is an integer of {smallest} or more, or two of them: {value!r}"
        )
    return pair[0], pair[1]


def check_images(x: Array, layout: str, *, operation: str) -> None:
    """Raises DtypeError, ShapeError unless x has 4 axes, LimitError for an unknown layout."""
    if x.kind.kind != "f":
        raise DtypeError(f'{operation}: not for {x.kind.name}: convert with .astype("f32")')
    check_layout(layout, operation=operation)
    if x.ndim != 4:
        raise ShapeError(f"{operation}: x has the axes ({', '.join(layout)}), or no N: shape {x.shape}")


def check_layout(layout: str, *, operation: str) -> None:
    """Raises LimitError for an unknown layout."""
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise LimitError(f"{operation}: no such layout: {layout!r}; choose {' or '.join(LAYOUTS)}")


def channels_first(x: Array, layout: str) -> Array:
    """The images as (batch, channels, height, width), whatever their strides."""
    return x if layout == "NCHW" else x.transpose(0, 3, 1, 2)


def in_layout(x: Array, layout: str) -> Array:
    """The inverse of `channels_first`."""
    return x if layout == "NCHW" else x.transpose(0, 2, 3, 1)


def has_channels_last(x: Array) -> bool:
    """Whether the channels of (batch, channels, height, width) are neighbours in memory, and columns not."""
    return x.strides[1] == 1 and x.shape[1] > 1 and (x.strides[3] != 1 or x.shape[3] == 1)
