"""How an array's elements lie: dtype, shape and strides as one object, which caches find by its identity."""

from functools import cached_property, lru_cache
from math import prod
from types import EllipsisType, NoneType

from rusty_py.dtypes import Dtype
from rusty_py.views import Shape, View, indexed, is_row_major, reshaped, row_major

_KEPT = 8192
_SLICE = object()
"""In an index as a key: start, stop and step of a slice follow."""
_PLAIN = frozenset((int, NoneType, EllipsisType, object))


class Layout:
    """Made by `layout_of`, which gives equal arguments the same object for as long as it remembers them.

    Strides count elements. `start` is what kernels may know of the offset: 0 where it is 0, else its
    remainder by 4, with 4 for 0.
    """

    __slots__ = ("__dict__", "contiguous", "dtype", "shape", "size", "start", "strides")

    def __init__(self, dtype: Dtype, shape: Shape, strides: Shape, start: int) -> None:
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.start = start
        self.size = prod(shape)
        self.contiguous = is_row_major(shape, strides)

    @cached_property
    def at_start(self) -> "Layout":
        """That of an offset of 0."""
        return _interned(self.dtype, self.shape, self.strides, 0)

    @cached_property
    def transposed(self) -> "Layout":
        """The axes in reverse order."""
        return _interned(self.dtype, self.shape[::-1], self.strides[::-1], self.start)

    @cached_property
    def matrix_transposed(self) -> "Layout":
        """The last two axes exchanged; there must be so many."""
        (*outer, m, n), (*steps, row, col) = self.shape, self.strides
        return _interned(self.dtype, (*outer, n, m), (*steps, col, row), self.start)


def layout_of(dtype: Dtype, shape: Shape, strides: Shape | None = None, offset: int = 0) -> Layout:
    """The layout of an array; row-major without gaps where no strides are given."""
    start = (offset & 3) or 4 if offset else 0
    return _interned(dtype, shape, row_major(shape) if strides is None else strides, start)


_interned = lru_cache(_KEPT)(Layout)


def index_key(index: object) -> tuple[object, ...] | None:
    """An index as a key of caches: its parts, those of slices in place of them, which do not hash.

    None where it has others than Python's integers, slices of those, `...` and None: 1.0 and True equal 1,
    and mean something else.
    """
    parts: list[object] = []
    for each in index if type(index) is tuple else (index,):
        if type(each) is slice:
            parts += _SLICE, each.start, each.stop, each.step
        else:
            parts.append(each)
    return tuple(parts) if _PLAIN.issuperset(map(type, parts)) else None


def index_of_key(key: tuple[object, ...]) -> tuple[object, ...]:
    """The index of which `index_key` made `key`."""
    parts = iter(key)
    return tuple(slice(next(parts), next(parts), next(parts)) if each is _SLICE else each for each in parts)


@lru_cache(_KEPT)
def layout_at(layout: Layout, key: tuple[object, ...]) -> tuple[int, Layout]:
    """What `key`, of `index_key`, chooses: how far from the start of `layout` it begins, and its layout.

    That of an offset other than 0. Raises IndexingError.
    """
    distance, shape, strides = indexed(View(0, layout.shape, layout.strides), index_of_key(key))
    start = (layout.start + distance) & 3 or 4
    return distance, _interned(layout.dtype, shape, strides, start)


@lru_cache(_KEPT)
def layout_permuted(layout: Layout, axes: Shape) -> Layout:
    """The axes in another order."""
    shape, strides = (tuple(each[axis] for axis in axes) for each in (layout.shape, layout.strides))
    return _interned(layout.dtype, shape, strides, layout.start)


@lru_cache(_KEPT)
def layout_reshaped(layout: Layout, shape: Shape) -> Layout | None:
    """That of the same elements in another shape of the same size; None where it takes a copy."""
    strides = reshaped(layout.shape, layout.strides, shape)
    return None if strides is None else _interned(layout.dtype, shape, strides, layout.start)
