"""How an array's elements lie: dtype, shape and strides as one object, which caches find by its identity."""

from functools import cached_property, lru_cache
from math import prod

from rusty_py.dtypes import Dtype
from rusty_py.views import Shape, is_row_major, row_major

_KEPT = 8192


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
    def transposed(self) -> "Layout":
        """The axes in reverse order."""
        return _interned(self.dtype, self.shape[::-1], self.strides[::-1], self.start)


def layout_of(dtype: Dtype, shape: Shape, strides: Shape | None = None, offset: int = 0) -> Layout:
    """The layout of an array; row-major without gaps where no strides are given."""
    start = (offset & 3) or 4 if offset else 0
    return _interned(dtype, shape, row_major(shape) if strides is None else strides, start)


_interned = lru_cache(_KEPT)(Layout)
