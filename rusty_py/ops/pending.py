"""Elementwise results that have not been computed, and where the elements of their operands lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rusty_py.arrays import Array
from rusty_py.layout import layout_of
from rusty_py.ops.generator import Body
from rusty_py.runtime.launch_plans import Symbol
from rusty_py.views import Shape, broadcast_strides, row_major


class Axis(NamedTuple):
    """Where along an axis of an operand an element lies: at start + step * i, if it is the i-th of `axis`."""

    start: int
    axis: int
    step: int


Place = tuple[Axis, ...]
"""Where the elements of a result lie in an operand: an `Axis` for each of the operand's."""


@dataclass(eq=False, slots=True)
class Operand:
    """An operand of a pending result: an array in memory with the result's shape, or one that is pending."""

    array: Array | None
    pending: Pending | None = None
    place: Place = ()


@dataclass(eq=False, slots=True)
class Pending:
    """An elementwise result that has not been computed. `shape` is that of `out`, which is row-major.

    `bounds`: its kernel has no more than so many inputs, numbers and steps. `reads` are the serials of the
    memory it is computed from. With `merges`, constants of one value are one number of the kernel.
    """

    body: Body
    operands: list[Operand | int | Symbol]
    out: Array
    bounds: tuple[int, int, int] = (0, 0, 0)
    reads: frozenset[int] = frozenset()
    merges: bool = False

    @property
    def shape(self) -> Shape:
        return self.out.shape


def bounds_of(pending: Pending) -> tuple[tuple[int, int, int], frozenset[int]]:
    """No fewer inputs, numbers and steps than a kernel of `pending` has, and the memory that it reads."""
    arrays, numbers, steps = 0, 0, 1
    reads: set[int] = set()
    for each in pending.operands:
        if not isinstance(each, Operand):
            numbers += 1
        elif each.pending is not None:
            arrays, numbers, steps = (
                a + b for a, b in zip((arrays, numbers, steps), each.pending.bounds, strict=True)
            )
            reads |= each.pending.reads
        else:
            assert each.array is not None
            arrays += 1
            reads.add(each.array.buffer.memory.serial)
    return (arrays, numbers, steps), frozenset(reads)


def spread(x: Array, shape: Shape) -> Array:
    """`x` with the shape it is broadcast to."""
    if x.shape == shape:
        return x
    strides = broadcast_strides(x.shape, x.strides, shape)
    return Array(x.buffer, layout_of(x.kind, shape, strides, x.offset), x.offset)


def placed(x: Array, place: Place, shape: Shape) -> Array:
    """The elements of `x` at `place`, for each element of a result of `shape`."""
    if x.shape == shape and all(axis == (0, i, 1) for i, axis in enumerate(place)):
        return x
    strides, offset = [0] * len(shape), x.offset
    for stride, (start, axis, step) in zip(x.strides, place, strict=True):
        if start and stride:
            offset = offset + stride * start
        if axis >= 0:
            strides[axis] += stride * step
    return Array(x.buffer, layout_of(x.kind, shape, tuple(strides), offset), offset)


def through(inner: Place, outer: Place) -> Place:
    """Where the elements at `outer` of a result lie in an operand that it reads at `inner`."""
    found = []
    for start, axis, step in inner:
        if axis < 0:
            found.append(Axis(start, -1, 0))
        else:
            first, to, stride = outer[axis]
            found.append(Axis(start + step * first, to, step * stride))
    return tuple(found)


def place_of(x: Array, whole: Shape, to: Shape) -> Place | None:
    """Where the elements of `x`, a view of a row-major array of the shape `whole`, lie in that, where `x` is
    broadcast to `to`. None where an axis of the view goes along two axes of the array.
    """
    offset = x.offset
    if type(offset) is not int or 0 in whole or 0 in to:
        return None
    steps = row_major(whole)
    starts = []
    for step in steps:
        start, offset = divmod(offset, step)
        starts.append(start)
    place = [Axis(start, -1, 0) for start in starts]
    new = len(to) - x.ndim
    for axis, (size, stride) in enumerate(zip(x.shape, x.strides, strict=True)):
        if size == 1 or stride == 0:
            continue
        for i, step in enumerate(steps):
            if stride % step == 0 and place[i].axis < 0 and whole[i] > 1:
                last = starts[i] + stride // step * (size - 1)
                if 0 <= last < whole[i]:
                    place[i] = Axis(starts[i], axis + new, stride // step)
                    break
        else:
            return None
    return tuple(place)
