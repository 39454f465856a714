"""Convolutions in NumPy: one matrix product for each image and group, of patches in columns (im2col)."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_COLUMN_BYTES = 32 << 20
"""Rows of the result are computed in parts, with so many bytes of columns."""

Floats = NDArray[Any]


def conv2d(
    x: Floats,
    w: Floats,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    layout: str = "NCHW",
    out: Floats | None = None,
) -> Floats:
    """The convolution of images with weights (outputs, channels / groups, kernel height, kernel width)."""
    patches = patches_of(planes(x, layout), w.shape[2:], stride=stride, padding=padding, dilation=dilation)
    batch, channels, height, width = patches.shape[:4]
    if out is None:
        shape = (batch, len(w), height, width)
        out = np.empty(shape if layout == "NCHW" else (*shape[:1], *shape[2:], len(w)), x.dtype)
    result, outputs, depth = planes(out, layout), len(w) // groups, w[0].size
    rows = max(1, _COLUMN_BYTES // (depth * width * x.itemsize))
    for group in range(groups):
        inputs = slice(group * channels // groups, (group + 1) * channels // groups)
        weights = w[group * outputs : (group + 1) * outputs].reshape(outputs, depth)
        for image in range(batch):
            for first in range(0, height, rows):
                part = patches[image, inputs, first : first + rows]
                columns = part.transpose(0, 3, 4, 1, 2).reshape(depth, -1)
                sums = (weights @ columns).reshape(outputs, part.shape[1], width)
                result[image, group * outputs : (group + 1) * outputs, first : first + rows] = sums
    return out


def planes(x: Floats, layout: str) -> Floats:
    """A view with the axes batch, channels, height and width."""
    return x if layout == "NCHW" else x.transpose(0, 3, 1, 2)


def patches_of(x: Floats, kernel: tuple[int, ...], *, stride: int, padding: int, dilation: int) -> Floats:
    """A view of padded images: batch, channels, then the pixels of the result, then those of the kernel."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    reach = tuple(dilation * (size - 1) + 1 for size in kernel)
    windows = sliding_window_view(padded, reach, axis=(2, 3))
    found: Floats = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return found
