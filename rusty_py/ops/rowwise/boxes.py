"""Arrays as rows: pure functions of layouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from rusty_py.layout import Layout, layout_of
from rusty_py.views import Shape, collapse, row_major

_NEAR = 4
"""Elements at most this far apart are loaded from where they are; others are copied first."""


@dataclass(frozen=True)
class Box:
    """Arrays as (outer, inner, n) elements, of which n are a row; `strides` of each, the result's last."""

    outer: int
    inner: int
    n: int
    strides: tuple[Shape, ...]

    @property
    def rows(self) -> int:
        return self.outer * self.inner

    @property
    def across(self) -> bool:
        """Whether neighbouring rows of the result are neighbours in memory, not the elements of a row."""
        _, inner, element = self.strides[-1]
        return element != 1 and inner == 1 and self.inner > 1


def boxed(layouts: Sequence[Layout], axes: Shape, order: Shape) -> Box | None:
    """Rows along `axes`, the others in this order; None where they take more than two strides, or n two."""
    shape, kept = layouts[0].shape, [axis for axis in order if axis not in axes]
    strides = [each.strides for each in layouts]
    rows, row_strides = collapse(_chosen(shape, kept), *(_chosen(each, kept) for each in strides))
    items, item_strides = collapse(_chosen(shape, axes), *(_chosen(each, axes) for each in strides))
    if len(rows) > 2 or len(items) > 1:
        return None
    outer, inner = (1, 1, *rows)[-2:]
    merged = zip(row_strides, item_strides, strict=True)
    return Box(
        outer, inner, prod(items), tuple((*(0, 0, *row)[-2:], *(item or (1,))) for row, item in merged)
    )


def _chosen(of: Shape, axes: Sequence[int]) -> Shape:
    return tuple(of[axis] for axis in axes)


def is_coalesced(box: Box, strides: Shape) -> bool:
    """Whether an array has neighbours in memory where the result has them."""
    stride, size = (strides[1], box.inner) if box.across else (strides[2], box.n)
    return size == 1 or abs(stride) <= _NEAR


def memory_order(x: Layout) -> Shape:
    """The axes from the one whose elements are farthest apart; their own order if there are gaps."""
    own = tuple(range(len(x.shape)))
    order = tuple(sorted(own, key=lambda axis: -x.strides[axis]))
    moved = layout_of(x.dtype, _chosen(x.shape, order), _chosen(x.strides, order))
    return order if moved.contiguous else own


def result_layout(x: Layout, order: Shape) -> Layout:
    """That of a new array of the shape of `x`, without gaps where its axes are in this order."""
    by_axis = dict(zip(order, row_major(_chosen(x.shape, order)), strict=True))
    return layout_of(x.dtype, x.shape, tuple(by_axis[axis] for axis in range(len(x.shape))))
