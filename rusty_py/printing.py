"""How an array describes itself: shape, dtype, device, bytes, and a corner of its values."""

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a corner shows of an axis, the last one first; longer arrays are cut. At most 8 * 8 * 2 values.
_MAX = (8, 8, 2)


def corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index of the part of an array that a description shows."""
    limit = [*_MAX[: len(shape)], *[1] * (len(shape) - len(_MAX))]
    return tuple(slice(size) for size in reversed(limit))


def text(values: NDArray[Any] | str, shape: tuple[int, ...], dtype: str, device: str, nbytes: int) -> str:
    """Array(<values>, shape=..., dtype=..., device=..., nbytes=...); what was cut off shows as `...`."""
    about = f"shape={shape}, dtype={dtype}, device={device!r}, nbytes={nbytes:,}"
    return f"Array({_values(values, shape, indent=6)},\n      {about})"


def html(values: NDArray[Any] | str, shape: tuple[int, ...], dtype: str, device: str, nbytes: int) -> str:
    """The same for a notebook."""
    size = " × ".join(map(str, shape)) or "a number"
    about = f"<b>Array</b> {size}, {escape(dtype)}, {nbytes:,} bytes on {escape(device)}"
    return f"<div>{about}<pre>{escape(_values(values, shape, indent=0))}</pre></div>"


def _values(values: NDArray[Any] | str, shape: tuple[int, ...], *, indent: int) -> str:
    if isinstance(values, str):
        return f"<{values}>"
    shown = np.array2string(values, separator=", ", prefix=" " * indent)
    return shown if values.shape == shape else f"{shown} ..."
