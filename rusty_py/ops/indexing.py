"""`x[key]` and `x[key] = value` where the key has arrays of indices or masks among integers and slices.

Integers and slices are a view; then one launch chooses from it, or sets in it. Where the axes of the indices
come in the result is NumPy's rule: in place of those that they index if these are next to each other, also to
integers in the key, else in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rusty_py import dtypes
from rusty_py.arrays import Array, assignable
from rusty_py.dtypes import BOOL, I32
from rusty_py.errors import IndexingError, ShapeError
from rusty_py.layout import index_key
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops.choosing import TAKE
from rusty_py.ops.compute import compute
from rusty_py.ops.conversions import cast, refuse_shared
from rusty_py.ops.creation import asarray
from rusty_py.ops.gathering import chosen_shape, put, put_masked
from rusty_py.ops.indices import index_array, on_host, refuse_out_of_bounds
from rusty_py.ops.masks import nonzero, true_places
from rusty_py.views import Shape, broadcast, plain_index


class _Choice(NamedTuple):
    """Which axes of `view` are indexed, by what, and where the axes of the indices come in."""

    view: Array
    indices: list[Array]
    axes: Shape
    at: int


def getitem(x: Array, key: object) -> Array:
    """`x[key]`.

    Raises IndexingError, ShapeError for indices that do not broadcast, and UnsupportedError for masks in a
    capture.
    """
    if not _has_arrays(key):
        return x[_plain(key)]
    view, indices, axes, at = _choice(x, key)
    return apply(TAKE, view, *indices, axes=axes, at=at)


def setitem(x: Array, key: object, value: object) -> None:
    """`x[key] = value`: `value` broadcasts. Raises what `getitem` and `Array.assign` do."""
    if type(key) is Array and key.layout.dtype is I32 and x.layout.shape and not x.device.checked:
        shape = (*key.layout.shape, *x.layout.shape[1:])
        _write(PUT, value, (key,), x, shape, axes=(0,), at=0)  # What comes often, without detours.
        return
    if index_key(key) is not None or not _has_arrays(key):
        view = x[_plain(key)]
        _write(ASSIGN, value, (), view, view.shape)
        return
    mask = _array(key, x) if _is_array(key) else None
    if mask is not None and mask.kind is BOOL:
        _refuse_other_shape(mask, x.shape[: mask.ndim])
        # Else it has a value for each place, which must be counted.
        if np.ndim(value) <= x.ndim - mask.ndim:  # type: ignore[arg-type]
            _write(PUT_MASKED, value, (mask,), x, x.shape)
            return
    view, indices, axes, at = _choice(x, key)
    over = broadcast(*(each.shape for each in indices), operation="index")
    shape = chosen_shape(view.shape, axes, at, over)
    _write(PUT, value, indices, view, shape, axes=axes, at=at)


def _write(
    operation: Operation,
    value: object,
    indices: Sequence[Array],
    out: Array,
    shape: Shape,
    **options: Any,
) -> None:
    """Sets what the indices choose of `out`, in `shape`, to `value`."""
    if type(value) is float or isinstance(value, bool | int | float | np.generic):
        number = value.item() if isinstance(value, np.generic) else value
        word = dtypes.scalar_word(number, out.kind, operation="index")
        apply(operation, *indices, out, words=(word,), **options)
        return
    source = assignable(value, out, operation="index")  # type: ignore[arg-type]  # It checks.
    while source.ndim > len(shape) and source.shape[0] == 1:  # As in NumPy.
        source = source[0]
    if source.ndim > len(shape) or broadcast(source.shape, shape, operation="index") != shape:
        raise ShapeError(f"index: shapes differ: {shape} takes {source.shape}")
    apply(operation, source, *indices, out, **options)


def _has_arrays(key: object) -> bool:
    return any(map(_is_array, key if isinstance(key, tuple) else (key,)))


def _is_array(part: object) -> bool:
    return isinstance(part, Array | list) or (isinstance(part, np.ndarray) and part.ndim > 0)


def _plain(key: object) -> object:
    """The key with Python's integers. Raises IndexingError for what is no key."""
    if index_key(key) is not None:
        return key
    key = plain_index(key)
    if index_key(key) is None:
        kinds = ", ".join(type(each).__name__ for each in (key if isinstance(key, tuple) else (key,)))
        raise IndexingError(f"index: takes integers, slices, ..., None and arrays of indices: got {kinds}")
    return key


def _choice(x: Array, key: object) -> _Choice:
    parts = _expanded([*key] if isinstance(key, tuple) else [key], x)
    if len(parts) == 1 and isinstance(parts[0], Array) and parts[0].ndim > 1 and x.contiguous:
        mask = parts[0]
        if mask.kind is BOOL:  # One index instead of one for each axis.
            _refuse_other_shape(mask, x.shape[: mask.ndim])
            flat = x.reshape((prod(mask.shape), *x.shape[mask.ndim :]))
            return _Choice(flat, [true_places(mask, operation="index")], (0,), 0)
    plain: list[object] = []
    indices: list[Array] = []
    axes: list[int] = []
    places: list[int] = []  # In the key, of all that NumPy counts among the indices.
    axis = ndim = 0  # Of x, and of the view.
    for i, part in enumerate(parts):
        if isinstance(part, Array):
            count = _axes_of(part)
            plain += [slice(None)] * count
            indices += _indices_of(part, x.shape[axis : axis + count])
            axes += range(ndim, ndim + count)
            places.append(i)
        else:
            plain.append(part)
            count = int(part is None or isinstance(part, slice))
            if not count:
                places.append(i)
        axis, ndim = axis + _axes_of(part), ndim + count
    together = places[-1] - places[0] == len(places) - 1
    at = sum(each is None or isinstance(each, slice) for each in parts[: places[0]]) if together else 0
    return _Choice(x[tuple(plain)], indices, tuple(axes), at)


def _expanded(parts: list[object], x: Array) -> list[object]:
    """One part for each axis, or the axes of a mask, and each new axis; arrays are ours."""
    pairs = [(part, _array(part, x) if _is_array(part) else _plain(part)) for part in parts]
    used = sum(_axes_of(part) for _, part in pairs)
    dots = [i for i, (_, part) in enumerate(pairs) if part is Ellipsis]
    if len(dots) > 1 or used > x.ndim:
        raise IndexingError(f"index: more indices than axes: {used} for shape {x.shape}")
    at = dots[0] if dots else len(pairs)
    pairs = [*pairs[:at], *[(None, slice(None))] * (x.ndim - used), *pairs[at + 1 :]]
    axis = 0
    for given, part in pairs:
        if isinstance(part, Array) and part.kind is not BOOL:
            refuse_out_of_bounds(given, part, x.shape[axis], operation="index")  # type: ignore[arg-type]
        axis += _axes_of(part)
    return [part for _, part in pairs]


def _axes_of(part: object) -> int:
    """How many axes of an array a part of a key is for."""
    if isinstance(part, Array):
        return part.ndim if part.kind is BOOL else 1
    return 0 if part is None or part is Ellipsis else 1


def _array(part: object, x: Array) -> Array:
    """A mask, or indices."""
    if not isinstance(part, Array):
        host = on_host(part, operation="index")  # type: ignore[arg-type]  # It checks.
        part = asarray(host, device=x.device) if host.dtype.kind == "b" else part
    if isinstance(part, Array) and part.kind is BOOL:
        if not part.ndim:
            raise IndexingError("index: a mask has 1 axis or more: shape ()")
        return part
    return index_array(part, x.device, operation="index")  # type: ignore[arg-type]  # It checks.


def _indices_of(part: Array, shape: Shape) -> list[Array]:
    """The indices that `part` is for axes of `shape`: one, or a mask's."""
    if part.kind is not BOOL:
        return [part]
    _refuse_other_shape(part, shape)
    return [*nonzero(part)]


def _refuse_other_shape(mask: Array, shape: Shape) -> None:
    if mask.shape != shape:
        raise IndexingError(f"index: a mask of shape {mask.shape} for axes of shape {shape}")


def _forward_put(*operands: Array | int, axes: Shape, at: int) -> Array:
    """The value, the indices and the array; or the indices, the array and a number's word."""
    value, indices, out = _sorted(operands)
    put(value, indices, out, axes=axes, at=at, operation="index")
    return out


def _forward_put_masked(*operands: Array | int) -> Array:
    """The value, the mask and the array; or the mask, the array and a number's word."""
    value, (mask,), out = _sorted(operands)
    put_masked(value, mask, out, operation="index")
    return out


def _forward_assign(*operands: Array | int) -> Array:
    """The value and the array; or the array and a number's word."""
    value, _, out = _sorted(operands)
    compute(cast(out.kind, out.kind), (value,), out, fresh=False)
    return out


def _sorted(operands: Sequence[Array | int]) -> tuple[Array | int, list[Array], Array]:
    """The value, the indices and the array that is written to: none of the others shares its memory."""
    arrays = [each for each in operands if isinstance(each, Array)]
    out = arrays.pop()
    refuse_shared(out, operation="index")
    arrays = [each.copy() if each.buffer is out.buffer else each for each in arrays]
    numbers = [each for each in operands if not isinstance(each, Array)]
    if numbers:
        return numbers[0], arrays, out
    value, *indices = arrays
    return value.astype(out.kind, copy=False), indices, out


_IN_PLACE = "it writes in place"
PUT = OPERATIONS.add(Operation("put", _forward_put, writes=True, gradient=_IN_PLACE))
PUT_MASKED = OPERATIONS.add(Operation("put_masked", _forward_put_masked, writes=True, gradient=_IN_PLACE))
ASSIGN = OPERATIONS.add(Operation("assign_broadcast", _forward_assign, writes=True, gradient=_IN_PLACE))
