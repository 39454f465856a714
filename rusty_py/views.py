"""Shapes, strides and offsets of arrays, in elements: pure functions, and NumPy's rules."""

import operator
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from rusty_py.errors import DtypeError, IndexingError, ShapeError

Shape = tuple[int, ...]


class View(NamedTuple):
    """Which elements of a buffer an array has: element i is at offset + sum(i[axis] * strides[axis])."""

    offset: int
    shape: Shape
    strides: Shape


def row_major(shape: Shape) -> Shape:
    """The strides of an array whose last axis lies densest, without gaps."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


def is_row_major(shape: Shape, strides: Shape) -> bool:
    """Whether the elements lie in order and without gaps; axes of size 1 may have any stride."""
    if 0 in shape:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def shape_of(shape: int | Sequence[int], *, operation: str) -> Shape:
    """`shape` as a tuple. Raises ShapeError for what is negative, or not of integers."""
    try:
        if isinstance(shape, list | tuple):
            sizes = tuple(map(operator.index, shape))
        else:
            sizes = (operator.index(shape),)  # type: ignore[arg-type]
    except TypeError:
        raise ShapeError(f"{operation}: a shape is an integer or a tuple of them: {shape!r}") from None
    if sizes and min(sizes) < 0:
        raise ShapeError(f"{operation}: sizes are not negative: {sizes}")
    return sizes


def integer_of(value: object, name: str, *, operation: str) -> int:
    """`value`, which `name` says what it is, as Python's integer. Raises DtypeError for what is none."""
    try:
        return operator.index(value)  # type: ignore[arg-type]  # It checks.
    except TypeError:
        raise DtypeError(f"{operation}: {name} is an integer: {value!r}") from None


def float_of(value: object, name: str, *, operation: str) -> float:
    """`value`, which `name` says what it is, as Python's float. Raises DtypeError for what is no number."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError  # Which float() would read.
        return float(value)  # type: ignore[arg-type]  # It checks.
    except (TypeError, ValueError, OverflowError):
        raise DtypeError(f"{operation}: {name} is a number: {value!r}") from None


def integers_of(values: object, name: str, *, operation: str) -> list[int]:
    """One integer, or several of a sequence, as a list. Raises DtypeError for what is none."""
    if hasattr(values, "__index__") and getattr(values, "shape", ()) == ():
        return [integer_of(values, name, operation=operation)]
    try:
        several = [*values]  # type: ignore[misc]  # It checks.
    except TypeError:
        raise DtypeError(f"{operation}: {name} is an integer, or several: {values!r}") from None
    return [integer_of(each, name, operation=operation) for each in several]


def axis_of(axis: int, ndim: int, *, operation: str) -> int:
    """`axis` counted from the front. Raises ShapeError for no such axis, DtypeError for no integer."""
    index = integer_of(axis, "an axis", operation=operation)
    if not -ndim <= index < ndim:
        raise ShapeError(f"{operation}: no such axis: {axis} of {ndim}")
    return index % ndim


def axis_key(axis: int | Sequence[int] | None, *, operation: str) -> int | Shape | None:
    """`axis` as a key of plans. Raises DtypeError for what is no integer: 1.0 would find a plan of 1."""
    if axis is None or type(axis) is int:
        return axis
    if isinstance(axis, list | tuple):
        return tuple(integer_of(each, "an axis", operation=operation) for each in axis)
    return integer_of(axis, "an axis", operation=operation)


def axes_of(axis: int | Sequence[int] | None, ndim: int, *, operation: str) -> Shape:
    """The axes that `axis` names, ascending; None names all. ShapeError for others, or one twice."""
    if axis is None:
        return tuple(range(ndim))
    named = axis if isinstance(axis, list | tuple) else (axis,)
    axes = sorted(axis_of(each, ndim, operation=operation) for each in named)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{operation}: an axis is named twice: {axis}")
    return tuple(axes)


def broadcast(*shapes: Shape, operation: str) -> Shape:
    """The shape of an elementwise result. Raises ShapeError where sizes differ and none of them is 1."""
    result: list[int] = []
    for sizes in zip(*(_padded(shape, max(map(len, shapes))) for shape in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            raise ShapeError(f"{operation}: shapes do not broadcast: {', '.join(map(str, shapes))}")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def _padded(shape: Shape, ndim: int) -> Shape:
    return (1,) * (ndim - len(shape)) + shape


def broadcast_strides(shape: Shape, strides: Shape, to: Shape) -> Shape:
    """The strides that repeat an array of `shape` to the shape `to`, which it broadcasts to."""
    new = len(to) - len(shape)
    old = tuple(
        stride if size == wide else 0 for size, stride, wide in zip(shape, strides, to[new:], strict=True)
    )
    return (0,) * new + old


def collapse(shape: Shape, *strides: Shape) -> tuple[Shape, tuple[Shape, ...]]:
    """The same elements in the same order with the fewest axes: those of one element go, neighbours join.

    Axes join where every operand goes on from one row to the next as it does within the row.
    """
    sizes: list[int] = []
    steps: list[tuple[int, ...]] = []
    for size, step in zip(shape, zip(*strides, strict=True), strict=True):
        if size == 1:
            continue
        if sizes and all(outer == inner * size for outer, inner in zip(steps[-1], step, strict=True)):
            sizes[-1] *= size
            steps[-1] = step
        else:
            sizes.append(size)
            steps.append(step)
    return tuple(sizes), tuple(zip(*steps, strict=True)) if steps else ((),) * len(strides)


def reshaped(shape: Shape, strides: Shape, to: Shape) -> Shape | None:
    """The strides of the same elements in the shape `to`, of the same size; None where it takes a copy."""
    if prod(to) == 0:
        return row_major(to)
    sizes, (steps,) = collapse(shape, strides)
    result: list[int] = []
    axis = len(to) - 1
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        taken = 1
        while axis >= 0 and (taken < size or to[axis] == 1):
            result.append(step * taken)
            taken *= to[axis]
            axis -= 1
        if taken != size:
            return None
    result += [1] * (axis + 1)  # What is left has one element an axis.
    return tuple(reversed(result))


def shape_to(size: int, shape: Sequence[int], *, old: Shape) -> Shape:
    """`shape` with its -1, if any, worked out. Raises ShapeError where the sizes do not agree."""
    sizes = [integer_of(each, "a size", operation="reshape") for each in shape]
    rest = prod(each for each in sizes if each != -1)
    if sizes.count(-1) == 1 and rest > 0 and size % rest == 0:
        sizes[sizes.index(-1)] = size // rest
    if min(sizes, default=0) < 0 or prod(sizes) != size:
        raise ShapeError(f"reshape: sizes differ: {old} has {size} elements, asked for {tuple(shape)}")
    return tuple(sizes)


def indexed(view: View, key: object) -> View:
    """`view[key]` for integers, slices, `...` and None. Raises IndexingError for anything else."""
    keys = _expanded(key if isinstance(key, tuple) else (key,), view.shape)
    offset, axis = view.offset, 0
    shape: list[int] = []
    strides: list[int] = []
    for each in keys:
        if each is None:
            shape.append(1)
            strides.append(0)
            continue
        size, stride = view.shape[axis], view.strides[axis]
        if isinstance(each, slice):
            chosen = range(*_indices(each, size))
            offset += chosen.start * stride if len(chosen) else 0
            shape.append(len(chosen))
            strides.append(chosen.step * stride)
        else:
            offset += _position(each, size, axis) * stride
        axis += 1
    return View(offset, tuple(shape), tuple(strides))


def plain_index(key: object) -> object:
    """`key` with Python's integers in place of NumPy's and of others that count as integers."""
    if isinstance(key, tuple):
        return tuple(map(plain_index, key))
    if isinstance(key, slice):
        return slice(*(plain_index(each) for each in (key.start, key.stop, key.step)))
    is_integer = hasattr(key, "__index__") and not isinstance(key, bool) and getattr(key, "shape", ()) == ()
    return operator.index(key) if is_integer else key  # type: ignore[arg-type]


def _expanded(keys: tuple[object, ...], shape: Shape) -> list[object]:
    """One key for each axis, and one for each new one."""
    dots = [i for i, key in enumerate(keys) if key is Ellipsis]
    used = sum(key is not None and key is not Ellipsis for key in keys)
    if len(dots) > 1 or used > len(shape):
        raise IndexingError(f"index: more indices than axes: {used} for shape {shape}")
    at = dots[0] if dots else len(keys)
    return [*keys[:at], *[slice(None)] * (len(shape) - used), *keys[at + 1 :]]


def _indices(key: slice, size: int) -> tuple[int, int, int]:
    try:
        return key.indices(size)
    except (TypeError, ValueError) as error:
        raise IndexingError(f"index: not a slice of integers: {key}: {error}") from None


def _position(key: object, size: int, axis: int) -> int:
    # Booleans and arrays have an __index__ too, and mean something else.
    if isinstance(key, bool) or getattr(key, "shape", ()) != ():
        raise _fancy(key)
    try:
        index = operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        raise _fancy(key) from None
    if not -size <= index < size:
        raise IndexingError(f"index: out of bounds: {index} on axis {axis} of size {size}")
    return index % size


def _fancy(key: object) -> IndexingError:
    return IndexingError(
        f"index: takes integers, slices, ... and None: got {type(key).__name__};"
        " choose with rp.where, or index .numpy()"
    )
