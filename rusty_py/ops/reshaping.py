"""The same elements in other shapes: made of views, and of one copy where no view can say it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from rusty_py.arrays import Array
from rusty_py.dtypes import DtypeLike
from rusty_py.errors import LimitError, ShapeError, UnsupportedError
from rusty_py.operation import public
from rusty_py.ops.choosing import take
from rusty_py.ops.creation import asarray
from rusty_py.ops.views import broadcast_to
from rusty_py.runtime.device import Device
from rusty_py.views import axes_of, axis_of, broadcast, integer_of, integers_of


@public
def transpose(x: Array | ArrayLike, /, axes: Sequence[int] | None = None) -> Array:
    """`x` with its axes in the order `axes`, reversed if None; shares memory. Raises ShapeError."""
    array = asarray(x)
    return array.T if axes is None else array.transpose(integers_of(axes, "an axis", operation="transpose"))


@public
def moveaxis(x: Array | ArrayLike, /, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """`x` with the axes `source` at `destination`, the others in their order; shares memory.

    Raises ShapeError for axes that there are not, that are named twice, or that are not as many.
    """
    array = asarray(x)
    named = []
    for given in (source, destination):
        axes = integers_of(given, "an axis", operation="moveaxis")
        named.append([axis_of(axis, array.ndim, operation="moveaxis") for axis in axes])
    sources, places = named
    if len(sources) != len(places) or len({*sources}) != len(sources) or len({*places}) != len(places):
        raise ShapeError(f"moveaxis: names as many axes as places, each once: {source} to {destination}")
    rest = iter(axis for axis in range(array.ndim) if axis not in sources)
    at = dict(zip(places, sources, strict=True))
    return array.transpose(tuple(at[i] if i in at else next(rest) for i in range(array.ndim)))


@public
def flip(x: Array | ArrayLike, /, *, axis: int | Sequence[int] | None = None) -> Array:
    """`x` with the elements along `axis` in reverse order, along all axes if None; shares memory.

    Raises ShapeError.
    """
    array = asarray(x)
    axes = axes_of(axis, array.ndim, operation="flip")
    return array[tuple(slice(None, None, -1 if i in axes else None) for i in range(array.ndim))]


@public
def ravel(x: Array | ArrayLike, /) -> Array:
    """The elements of `x` in row-major order along one axis; shares memory where strides allow."""
    return asarray(x).reshape(-1)


@public
def flatten(x: Array | ArrayLike, /) -> Array:
    """A copy of the elements of `x` in row-major order along one axis."""
    return asarray(x).copy().reshape(-1)


@public
def broadcast_arrays(*arrays: Array | ArrayLike) -> tuple[Array, ...]:
    """The arrays in the shape that they broadcast to, as views. Raises ShapeError."""
    given = [asarray(each) for each in arrays]
    shape = broadcast(*(each.shape for each in given), operation="broadcast_arrays") if given else ()
    return tuple(broadcast_to(each, shape) for each in given)


@public
def meshgrid(*arrays: Array | ArrayLike, indexing: str = "xy") -> tuple[Array, ...]:
    """The coordinates of a grid from those along each axis, of one axis each or none; as views.

    With "xy", the first array goes along the second axis of the result and the second along the first; with
    "ij", each along its own. Raises ShapeError.
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(f'meshgrid: indexing is "xy" or "ij": {indexing!r}')
    given = [asarray(each) for each in arrays]
    for each in given:
        if each.ndim > 1:
            raise ShapeError(f"meshgrid: arrays of one axis: shape {each.shape}")
    places = [*range(len(given))]
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    sizes = [each.size for each in given]
    shape = tuple(sizes[places.index(i)] for i in range(len(given)))
    return tuple(
        broadcast_to(each.reshape(tuple(each.size if i == at else 1 for i in range(len(given)))), shape)
        for each, at in zip(given, places, strict=True)
    )


@public
def repeat(x: Array | ArrayLike, repeats: int | Sequence[int], /, axis: int | None = None) -> Array:
    """`x` with each element along `axis` `repeats` times in a row; None repeats the flattened elements.

    repeats: a number for all, or one for each, on the host. One launch. Raises ShapeError, LimitError.
    """
    array = asarray(x)
    if axis is None:
        array, axis = array.reshape(-1), 0
    at = axis_of(axis, array.ndim, operation="repeat")
    size = array.shape[at]
    if isinstance(repeats, Array):
        raise UnsupportedError("repeat: repeats must be known on the host: use .tolist()")
    if isinstance(repeats, Sequence | np.ndarray) and np.ndim(repeats):
        counts = integers_of(repeats, "a number of repeats", operation="repeat")
        counts = counts * size if len(counts) == 1 else counts
        if len(counts) != size or min(counts, default=0) < 0:
            raise ShapeError(f"repeat: a number, not negative, for each of {size} elements: {len(counts)}")
        _refuse_size(array, sum(counts) * (array.size // size if size else 0), operation="repeat")
        return take(array, np.repeat(np.arange(size), counts), axis=at)
    count = integer_of(repeats, "a number of repeats", operation="repeat")
    if count < 0:
        raise ShapeError(f"repeat: repeats are not negative: {count}")
    _refuse_size(array, array.size * count, operation="repeat")
    before, after = array.shape[:at], array.shape[at + 1 :]
    each = array.reshape((*before, size, 1, *after))
    return _owned(broadcast_to(each, (*before, size, count, *after)), (*before, size * count, *after), array)


@public
def tile(x: Array | ArrayLike, repetitions: int | Sequence[int], /) -> Array:
    """`x` so many times along each axis; missing axes come in front. One launch.

    Raises ShapeError, LimitError.
    """
    array = asarray(x)
    counts = integers_of(repetitions, "a number of repetitions", operation="tile")
    counts = [1] * (array.ndim - len(counts)) + counts
    if min(counts, default=0) < 0:
        raise ShapeError(f"tile: repetitions are not negative: {repetitions}")
    sizes = [1] * (len(counts) - array.ndim) + [*array.shape]
    _refuse_size(array, prod(sizes) * prod(counts), operation="tile")
    one = array.reshape(tuple(each for size in sizes for each in (1, size)))
    wide = tuple(each for pair in zip(counts, sizes, strict=True) for each in pair)
    shape = tuple(count * size for count, size in zip(counts, sizes, strict=True))
    return _owned(broadcast_to(one, wide), shape, array)


@public
def from_dlpack(
    x: object, /, *, device: Device | None = None, dtype: DtypeLike | None = None, copy: bool | None = None
) -> Array:
    """An array with the values of `x`, which has DLPack's protocol and is in host memory; a copy.

    An `Array` is converted as by `asarray`, whose `copy` and errors these are. Raises UnsupportedError for
    memory of other devices.
    """
    if isinstance(x, Array):
        return asarray(x, dtype=dtype, device=device, copy=copy)
    try:
        host = np.from_dlpack(x)  # type: ignore[arg-type]  # It checks.
    except (BufferError, RuntimeError, AttributeError, TypeError) as error:
        raise UnsupportedError(f"from_dlpack: not an array in host memory: {error}") from None
    return asarray(host, dtype=dtype, device=device, copy=copy)


def _owned(view: Array, shape: tuple[int, ...], x: Array) -> Array:
    """`view` in `shape`, and a copy where that is a view of `x`."""
    result = view.reshape(shape)
    return result.copy() if result.buffer is x.buffer else result


def _refuse_size(x: Array, size: int, *, operation: str) -> None:
    limit = x.device.limits.buffer_bytes
    if size * x.kind.itemsize > limit:
        raise LimitError(
            f"{operation}: the result is larger than {x.device.adapter} allows:"
            f" {size * x.kind.itemsize} > {limit} bytes"
        )
