"""Reductions of what is larger than a binding: of parts that fit, each with its accumulators.

Parts along kept axes have results of their own. Along reduced axes, the accumulators of the parts are
gathered, and reduced by another pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import U32
from rusty_py.errors import LimitError
from rusty_py.layout import layout_of
from rusty_py.ops import windows
from rusty_py.ops.compute import compute
from rusty_py.ops.conversions import cast
from rusty_py.ops.pending import spread
from rusty_py.ops.reduce.box import rows_box
from rusty_py.ops.reduce.passes import THREAD_ELEMENTS
from rusty_py.ops.reduce.reduction import Reduction
from rusty_py.ops.reduce.source import (
    Operands,
    Source,
    accumulators,
    as_they_are,
    at_once,
    launched,
    of_partial_results,
)
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape

Cell = tuple[tuple[int, int, int], ...]
"""A part: an axis, where it starts and where it stops, for each of some axes."""


def fits_at_once(row: Reduction, source: Source, axes: Shape) -> bool:
    """Whether a launch can bind all operands, and what comes of them."""
    limit = source.arrays[0].device.limits.binding_bytes
    return _result_bytes(row, source, source.shape, axes) <= limit and all(map(windows.fits, source.arrays))


def in_parts(row: Reduction, source: Source, axes: Shape, number: int) -> Array:
    """The results, in the shape of the kept axes. Raises LimitError, OutOfMemory."""
    if row.ordered and len(axes) > 1:  # The index counts through all axes: parts are of one.
        x = allocate(source.arrays[0].device, source.shape, source.dtype, operation=row.name)
        compute(source.body, source.operands, x)
        source, axes = Source(as_they_are(x.kind), x.kind, (x.reshape(-1),), (x.size,)), (0,)
    arrays = [spread(each, source.shape) if isinstance(each, Array) else each for each in source.operands]
    source = replace(source, operands=tuple(arrays))
    steps, target = _steps(row, source, axes), row.result(source.dtype)
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    shape = tuple(source.shape[axis] for axis in kept)
    out = allocate(source.arrays[0].device, shape, target, operation=row.name)
    for cell in _cells(source.shape, steps, kept):
        place = out
        for at, (_, start, stop) in enumerate(cell):
            place = windows.part_of(place, at, start, stop)
        made = _of_cell(row, _part(source, cell), axes, steps, number)
        compute(cast(target, target), (made,), place, fresh=False)
    return out


def _of_cell(row: Reduction, source: Source, axes: Shape, steps: Shape, number: int) -> Array:
    """The results of a part along kept axes, from those along reduced ones."""
    cells = [*_cells(source.shape, steps, axes)]
    if len(cells) == 1:
        return at_once(row, source, axes, number)
    computed, device = row.computed(source.dtype), source.arrays[0].device
    kept = tuple(size for axis, size in enumerate(source.shape) if axis not in axes)
    words = row.monoid.nbytes(computed) // U32.itemsize
    totals = allocate(device, (len(cells), *kept, words), U32, operation=row.name)
    for k, cell in enumerate(cells):
        first = cell[0][1] if row.ordered else 0
        made = accumulators(row, _part(source, cell), axes, number, first=first)
        compute(cast(U32, U32), (made,), windows.part_of(totals, 0, k, k + 1), fresh=False)
    body, operands = of_partial_results(row, computed), Operands([totals.buffer], [], [""])
    box = rows_box(1, len(cells), prod(kept))
    out = launched(row, device, source.dtype, body, operands, box, number)
    return Array(out, layout_of(row.result(source.dtype), kept))


def _steps(row: Reduction, source: Source, axes: Shape) -> Shape:
    """The sizes of the parts: halved along the axis that reaches furthest in memory until all fit."""
    steps, limit = [*source.shape], source.arrays[0].device.limits.binding_bytes
    while large := [each for each in source.arrays if not windows.part_fits(each, steps)]:
        reaches = [
            max((size - 1) * abs(each.strides[axis]) for each in large) for axis, size in enumerate(steps)
        ]
        if not any(reaches):
            raise LimitError(
                f"{row.name}: no part of shape {source.shape} fits a binding on {large[0].device.adapter}:"
                f" {limit} bytes"
            )
        _halve(steps, max(range(len(steps)), key=reaches.__getitem__))
    kept = [axis for axis in range(len(steps)) if axis not in axes]
    while _result_bytes(row, source, steps, axes) > limit and any(steps[axis] > 1 for axis in kept):
        _halve(steps, max(kept, key=steps.__getitem__))
    return tuple(steps)


def _halve(steps: list[int], axis: int) -> None:
    half = ceil_div(steps[axis], 2)
    steps[axis] = ceil_div(half, windows.UNIT) * windows.UNIT if half > windows.UNIT else half


def _result_bytes(row: Reduction, source: Source, steps: Sequence[int], axes: Shape) -> int:
    """The most that a pass over parts leaves, or that their accumulators take."""
    count = prod(step for axis, step in enumerate(steps) if axis not in axes)
    n = prod(steps[axis] for axis in axes)
    parts = prod(ceil_div(source.shape[axis], steps[axis]) for axis in axes)
    if parts == 1 and n <= THREAD_ELEMENTS:
        return count * row.result(source.dtype).itemsize
    return count * max(parts, ceil_div(n, THREAD_ELEMENTS)) * row.monoid.nbytes(row.computed(source.dtype))


def _cells(shape: Shape, steps: Shape, axes: Sequence[int]) -> Iterator[Cell]:
    """The parts along `axes`."""
    return product(
        *(
            [
                (axis, start, min(start + steps[axis], shape[axis]))
                for start in range(0, shape[axis], steps[axis])
            ]
            for axis in axes
        )
    )


def _part(source: Source, cell: Cell) -> Source:
    """The elements of a part."""
    shape, operands = [*source.shape], [*source.operands]
    for axis, start, stop in cell:
        shape[axis] = stop - start
        operands = [
            windows.part_of(each, axis, start, stop) if isinstance(each, Array) else each for each in operands
        ]
    return replace(source, operands=tuple(operands), shape=tuple(shape))
