"""Arrays of indices: which dtypes they have, and which are out of bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py.arrays import Array
from rusty_py.dtypes import I32, U32
from rusty_py.errors import DtypeError, IndexingError, ShapeError
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.creation import asarray
from rusty_py.runtime.device import Device


def index_array(values: Array | ArrayLike, device: Device, *, operation: str) -> Array:
    """Integers as an array of i32 or u32. Raises DtypeError for others, and for what does not fit."""
    if isinstance(values, Array):
        if values.kind not in (I32, U32):
            raise DtypeError(f'{operation}: indices are i32 or u32: {values.kind.name}: use .astype("i32")')
        return values
    host = on_host(values, operation=operation)
    if host.size and host.dtype.kind not in "iu":
        raise DtypeError(f'{operation}: indices are integers: {host.dtype}: use .astype("int32")')
    return asarray(host if host.dtype == np.uint32 else host.astype(np.int64), I32, device=device)


def on_host(values: ArrayLike, *, operation: str) -> NDArray[Any]:
    """Indices or a mask as NumPy's array. Raises ShapeError for lists of unequal lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{operation}: not the values of an array: {error}") from None


def refuse_out_of_bounds(given: Array | ArrayLike, index: Array, size: int, *, operation: str) -> None:
    """Raises IndexingError for an index that no axis of `size` has: on the host, or where that is checked.

    Arrays are checked, and waited for, on devices with run-time checks alone, and not in a capture.
    """
    if not index.size:
        return
    if not isinstance(given, Array):
        host = np.asarray(given)
        lowest, highest = int(host.min()), int(host.max())
    elif index.device.checked and index.device.recorder is None:
        lowest, highest = (int(apply(OPERATIONS[name], index).item()) for name in ("min", "max"))
    else:
        return
    for each in (lowest, highest):
        if not -size <= each < size:
            raise IndexingError(f"{operation}: index out of bounds: {each} on an axis of size {size}")
