"""Pooling in NumPy, of arrays in float64 or as they are: what kernels are compared with."""

from __future__ import annotations

import numpy as np

from rusty_py.ops.pool.window import PoolWindow
from rusty_py.samples import Values

_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def max_pool(x: Values, *, window: PoolWindow, layout: str = "NCHW") -> Values:
    """The largest tap of each window; NaN is larger than every number, and a window without taps is -inf."""
    images = _channels_first(x, layout)
    values, inside, _ = _taps(images, window)
    found = np.where(inside[:, None, None], values, -np.inf).max(axis=0)
    return _in_layout(found.astype(x.dtype), layout)


def max_pool_gradient(g: Values, x: Values, *, window: PoolWindow, layout: str = "NCHW") -> Values:
    """The sum of g over the windows of which an element is the first of the largest taps."""
    images, given = _channels_first(x, layout), _channels_first(g, layout)
    places, exists = _places_of_max(images, window)
    out = np.zeros((images.shape[0] * images.shape[1], images.shape[2] * images.shape[3]), g.dtype)
    rows = np.broadcast_to(np.arange(len(out)).reshape(*images.shape[:2], 1, 1), places.shape)
    np.add.at(out, (rows[exists], places[exists]), given[exists])
    return _in_layout(out.reshape(images.shape), layout)


def selected_by_max(v: Values, x: Values, *, window: PoolWindow, layout: str = "NCHW") -> Values:
    """The element of v at the first of the largest taps of each window; 0 for a window without taps."""
    images, given = _channels_first(x, layout), _channels_first(v, layout)
    places, exists = _places_of_max(images, window)
    flat = given.reshape(*given.shape[:2], -1)
    rows = np.take_along_axis(flat, places.reshape(*places.shape[:2], -1), axis=2)
    return _in_layout(np.where(exists, rows.reshape(places.shape), 0).astype(v.dtype), layout)


def avg_pool(x: Values, *, window: PoolWindow, layout: str = "NCHW") -> Values:
    """The sum of the taps of each window by `divisors`."""
    images = _channels_first(x, layout)
    values, inside, _ = _taps(images, window)
    sums = np.where(inside[:, None, None], values, 0).sum(axis=0, dtype=np.float64)
    return _in_layout((sums / divisors(images.shape[2:], window)).astype(x.dtype), layout)


def avg_pool_gradient(
    g: Values, *, window: PoolWindow, size: tuple[int, int], layout: str = "NCHW"
) -> Values:
    """The sum of g by the divisor over the windows that an element of an image of `size` is in."""
    given = _channels_first(g, layout)
    images = np.broadcast_to(np.zeros(()), (*given.shape[:2], *size))
    _, inside, places = _taps(images, window)
    shares = given.astype(np.float64) / divisors(size, window)
    out = np.zeros((given.shape[0] * given.shape[1], size[0] * size[1]))
    for tap_inside, tap_places in zip(inside, places, strict=True):
        # The taps of one number are different elements for different windows.
        out[:, tap_places[tap_inside]] += shares[..., tap_inside].reshape(len(out), -1)
    return _in_layout(out.reshape(images.shape).astype(g.dtype), layout)


def divisors(size: tuple[int, ...], window: PoolWindow) -> Values:
    """What each window's sum is divided by, (out height, out width)."""
    out = window.out_size((size[0], size[1]), operation="reference")
    counts = []
    for axis in (0, 1):
        padding = window.padding[axis]
        first = np.arange(out[axis]) * window.stride[axis] - padding
        last = np.minimum(first + window.kernel[axis], size[axis] + padding)
        if not window.count_include_pad:
            first, last = np.maximum(first, 0), np.minimum(last, size[axis])
        counts.append(last - first)
    return np.multiply.outer(*counts).astype(np.float64)


def _channels_first(x: Values, layout: str) -> Values:
    return x if layout == "NCHW" else x.transpose(_FIRST)


def _in_layout(x: Values, layout: str) -> Values:
    return np.ascontiguousarray(x if layout == "NCHW" else x.transpose(_LAST))


def _taps(x: Values, window: PoolWindow) -> tuple[Values, Values, Values]:
    """The taps of each window, (taps, n, c, oh, ow); whether they exist, and where, both (taps, oh, ow)."""
    size = (x.shape[2], x.shape[3])
    out = window.out_size(size, operation="reference")
    places = []
    for axis in (0, 1):
        first = np.arange(out[axis]) * window.stride[axis] - window.padding[axis]
        places.append(np.arange(window.kernel[axis])[:, None] * window.dilation[axis] + first)
    rows, columns = places
    of_rows, of_columns = (rows >= 0) & (rows < size[0]), (columns >= 0) & (columns < size[1])
    inside = of_rows[:, None, :, None] & of_columns[None, :, None]
    rows, columns = rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)
    values = x[:, :, rows[:, None, :, None], columns[None, :, None]]
    flat = (window.taps, *out)
    at = rows[:, None, :, None] * size[1] + columns[None, :, None]
    moved = np.moveaxis(values.reshape(*x.shape[:2], *flat), 2, 0)
    return moved, inside.reshape(flat), np.broadcast_to(at, inside.shape).reshape(flat)


def _places_of_max(x: Values, window: PoolWindow) -> tuple[Values, Values]:
    """Where in its plane the first of the largest taps of each window is, and whether there is one."""
    values, inside, places = _taps(x, window)
    inside = np.broadcast_to(inside[:, None, None], values.shape)
    largest = np.where(inside, values, -np.inf).max(axis=0)
    wins = inside & ((values == largest) | (np.isnan(values) & np.isnan(largest)))
    first = wins.argmax(axis=0)
    places = np.broadcast_to(places[:, None, None], values.shape)
    return np.take_along_axis(places, first[None], axis=0)[0], wins.any(axis=0)
