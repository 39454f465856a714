"""The axes of a reduction as kernels take them: merged, in the order in which memory is read best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

from rusty_py.dtypes import Dtype
from rusty_py.layout import Layout, layout_of
from rusty_py.views import Shape, collapse, reshaped, row_major

MAX_OUTER, MAX_REDUCED = 3, 2


@dataclass(frozen=True)
class Place:
    """Where an operand's elements are: `start`, which may be a Symbol, and the strides along a box's axes."""

    start: Any
    outer: Shape
    reduced: Shape
    inner: int


@dataclass(frozen=True)
class Box:
    """The elements (outer..., reduced..., inner) of which the reduced axes go; `places` for each operand.

    `turned` is how many of the merged outer axes come before inner in the result; None where all do.
    """

    outer: Shape
    reduced: Shape
    inner: int
    places: tuple[Place, ...]
    turned: int | None = None

    @property
    def n(self) -> int:
        """How many elements each result is reduced from."""
        return prod(self.reduced)

    @property
    def rows(self) -> int:
        """The number of outer elements."""
        return prod(self.outer)

    def by_rows(self) -> Box:
        """The same elements with the inner axis as the last outer one."""
        if self.inner == 1:
            return self
        places = [Place(each.start, (*each.outer, each.inner), each.reduced, 0) for each in self.places]
        return Box((*self.outer, self.inner), self.reduced, 1, tuple(places), self.turned)

    def layout(self, dtype: Dtype, kept: Shape) -> Layout:
        """That of the results, which kernels leave as (outer..., inner), in the shape `kept`."""
        if self.turned is None:
            return layout_of(dtype, kept)
        sizes = [*self.outer[: self.turned], self.inner, *self.outer[self.turned :]]
        strides = [*row_major((*self.outer, self.inner))]
        strides.insert(self.turned, strides.pop())
        seen = reshaped(tuple(sizes), tuple(strides), kept)
        assert seen is not None  # Merged axes are split again.
        return layout_of(dtype, kept, seen)


def box_of(
    shape: Shape, axes: Shape, starts: Sequence[Any], strides: Sequence[Shape], *, ordered: bool
) -> Box | None:
    """The box of operands of `shape` over `axes`; None where more axes than a kernel takes are apart.

    Where the order of the elements does not matter, reduced axes are reversed and exchanged.
    """
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    reduced = [*axes]
    starts, steps = [*starts], [[*each] for each in strides]
    if not ordered:
        for axis in reduced:
            if steps[0][axis] < 0:
                for k, each in enumerate(steps):
                    starts[k] = starts[k] + (shape[axis] - 1) * each[axis]
                    each[axis] = -each[axis]
        reduced.sort(key=lambda axis: [-abs(each[axis]) for each in steps])
    sizes, along = _merged(shape, steps, reduced)
    outer, across = _merged(shape, steps, kept)
    inner = _inner(across, len(outer), along, len(sizes))
    moved = outer[:inner] + outer[inner + 1 :] if inner is not None else outer
    if len(moved) + (inner is not None) > MAX_OUTER or len(sizes) > MAX_REDUCED:
        return None
    places = []
    for k, start in enumerate(starts):
        by_outer = across[k][:inner] + across[k][inner + 1 :] if inner is not None else across[k]
        places.append(Place(start, by_outer, along[k], across[k][inner] if inner is not None else 0))
    turned = inner if inner is not None and inner < len(moved) else None
    return Box(moved, sizes, 1 if inner is None else outer[inner], tuple(places), turned)


def _merged(
    shape: Shape, strides: Sequence[Sequence[int]], axes: Sequence[int]
) -> tuple[Shape, tuple[Shape, ...]]:
    """The sizes of the axes, and the strides of each operand along them, after merging."""
    along = [tuple(each[axis] for axis in axes) for each in strides]
    return collapse(tuple(shape[axis] for axis in axes), *along)


def _inner(across: Sequence[Shape], outer: int, along: Sequence[Shape], reduced: int) -> int | None:
    """The kept axis along which neighbours are closer than along any reduced one; None if there is none."""

    def distance(strides: Sequence[Shape], axis: int) -> float:
        return min((abs(each[axis]) for each in strides if each[axis]), default=inf)

    closest = min((distance(along, axis) for axis in range(reduced)), default=inf)
    found = min(range(outer), key=lambda axis: distance(across, axis), default=None)
    return found if found is not None and distance(across, found) < closest else None


def rows_box(rows: int, n: int, inner: int) -> Box:
    """That of (rows, n, inner), row-major, as a pass leaves partial results."""
    return Box((rows,), (n,), inner, (Place(0, (n * inner,), (inner,), 1 if inner > 1 else 0),))
