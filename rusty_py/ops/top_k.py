"""`top_k`: the largest elements along an axis, by selection where there are few of many, else by a sort."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F32, I32, U32
from rusty_py.errors import ShapeError
from rusty_py.layout import layout_of
from rusty_py.operation import OPERATIONS, Operation, apply, public
from rusty_py.ops.creation import asarray, full
from rusty_py.ops.sort.kernels import (
    BITONIC,
    SELECTED,
    bitonic,
    by_counting,
    ranked,
    select,
    selection,
    sort_rows,
)
from rusty_py.ops.sort.keys import flip_mask
from rusty_py.ops.sort.operations import by_rows, sorted_order
from rusty_py.ops.sort.specs import step
from rusty_py.oracle import Expected
from rusty_py.samples import Sample
from rusty_py.shapes import ceil_div
from rusty_py.views import axis_of, integer_of

SORTED = 1 << 9
"""Rows up to this length are sorted in workgroup memory."""


@public
def top_k(x: Array | ArrayLike, k: int, /, *, axis: int = -1) -> tuple[Array, Array]:
    """The `k` largest elements along `axis`, the largest first, and their indices along it, as int32.

    Equal elements keep their order. NaN counts as larger than every number. For k up to 256, GPUs select the
    `k` largest of each block of the axis, then those of all blocks; otherwise the axis is sorted. The values
    have a gradient. Raises ShapeError, LimitError, OutOfMemory.
    """
    array = asarray(x)
    at = axis_of(axis, array.ndim, operation="top_k")
    indices = apply(TOP_K, array, k=integer_of(k, "k", operation="top_k"), axis=at)
    return apply(OPERATIONS["take_along_axis"], array, indices, axis=at), indices


def _forward(x: Array, *, k: int, axis: int) -> Array:
    if not 0 <= k <= x.shape[axis]:
        raise ShapeError(f"top_k: more elements than there are, or fewer than none: {k} of {x.shape[axis]}")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    if not x.size or not k:
        return full(shape, 0, dtype=I32, device=x.device)
    moved, back = by_rows(x, axis)
    n = moved.shape[-1]
    rows = x.size // n
    if by_counting(x.device, rows, n):
        flat = ranked(moved, rows, n, k, indices=True, descending=True)
    elif k <= SELECTED and not x.device.adapter.is_cpu:
        flat = _selected(moved, rows, n, k)
    else:
        flat = sort_rows(moved, rows, n, indices=True, descending=True)
    kept = flat.size // rows
    found = Array(flat.buffer, layout_of(I32, (*moved.shape[:-1], kept)))
    return found[..., :k].transpose(back)


def _selected(x: Array, rows: int, n: int, k: int) -> Array:
    """The indices of the `k` first of each row, flat: passes over what the blocks of the last one kept."""
    mask, given, first = flip_mask(x.kind, descending=True), [x], True
    _, span = selection(k)
    out = allocate(x.device, (rows * k,), I32, operation="top_k")
    while n > span:
        blocks = ceil_div(n, span)
        kept = [allocate(x.device, (rows * blocks * k,), U32, operation="top_k") for _ in range(2)]
        select(step(x.kind, indices=True, first=first, last=False), given, kept, rows, n, k, mask)
        n, given, first = blocks * k, kept, False
    sort = n <= SORTED or (n <= BITONIC[-1][0] and n < 8 * k)
    final = bitonic if sort else select
    final(step(x.kind, indices=True, first=first), given, [out], rows, n, k, mask)
    return out


def _samples() -> Iterator[Sample]:
    for shape, k, axis in (((3, 60), 7, 1), ((300, 2), 5, 0), ((1, 4500), 3, 1)):
        (x,) = samples.with_specials(F32, 1, *shape)
        yield Sample(f"top_k f32 of {shape}", (x,), {"k": k, "axis": axis})


def _expected(sample: Sample) -> Expected:
    (x,), k, axis = sample.operands, sample.options["k"], sample.options["axis"]
    order = sorted_order(x, axis=axis, descending=True)
    return Expected(np.take(order, range(k), axis=axis).astype(np.int32), None)


TOP_K = OPERATIONS.add(
    Operation(
        "top_k_indices",
        _forward,
        samples=_samples,
        expected=_expected,
        gradient="indices are integers, and change in steps",
    )
)
