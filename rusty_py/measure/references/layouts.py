"""Operands in the layout that they have on our device."""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rusty_py.views import View, row_major


class Flat(NamedTuple):
    """The memory of an array, 1-D, and the view of it that the array is."""

    values: NDArray[Any]
    view: View


def flat(x: NDArray[Any]) -> Flat:
    """The memory that `x` spans, with the gaps between its elements.

    Copied if it is read-only, which PyTorch doesn't take.
    """
    if any(stride % x.itemsize for stride in x.strides):
        x = x.copy()
    if x.size == 0:
        return Flat(np.empty(0, x.dtype), View(0, x.shape, row_major(x.shape)))
    strides = tuple(stride // x.itemsize for stride in x.strides)
    reach = [(size - 1) * stride for size, stride in zip(x.shape, strides, strict=True)]
    offset = -sum(each for each in reach if each < 0)
    lowest = x[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in strides)]
    values = as_strided(lowest, (sum(map(abs, reach)) + 1,), (x.itemsize,))
    if not values.flags.writeable:
        values = values.copy()
    return Flat(values, View(offset, x.shape, strides))
