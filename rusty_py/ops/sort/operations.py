"""`sort` and `argsort`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F32, Dtype
from rusty_py.layout import Layout, layout_of
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.creation import full
from rusty_py.ops.sort.kernels import sort_rows
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_key, axis_of


def sort(
    x: Array | ArrayLike,
    /,
    *,
    axis: int | None = -1,
    descending: bool = False,
    stable: bool = True,
) -> Array:
    """`x` with its elements sorted along `axis`; None sorts all elements, as one axis.

    NaN counts as larger than every number: it comes last, first if `descending`. -0.0 comes before 0.0. The
    sort is always stable. Raises ShapeError, LimitError, OutOfMemory.
    """
    return apply(SORT, x, axis=axis_key(axis, operation="sort"), descending=descending)


def argsort(
    x: Array | ArrayLike,
    /,
    *,
    axis: int | None = -1,
    descending: bool = False,
    stable: bool = True,
) -> Array:
    """The indices along `axis`, as int32, that sort `x`; None sorts all elements, as one axis.

    Equal elements keep their order, also if `descending`; -0.0 equals 0.0. NaN counts as larger than every
    number, and equals itself. The sort is always stable. Raises ShapeError, LimitError, OutOfMemory.
    """
    return apply(ARGSORT, x, axis=axis_key(axis, operation="argsort"), descending=descending)


def by_rows(x: Array, axis: int) -> tuple[Array, list[int]]:
    """`x` with `axis` as the last, row-major, and the order of axes that undoes that."""
    order = [*(each for each in range(x.ndim) if each != axis), axis]
    moved = x.transpose(order)
    return moved if moved.contiguous else moved.copy(), [order.index(each) for each in range(x.ndim)]


def _forward(
    name: str, x: Array, *, axis: int | None = -1, descending: bool = False, indices: bool = False
) -> Array:
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    index = axis_of(axis, x.ndim, operation=name)
    if not x.size:
        return full(x.shape, 0, dtype="i32" if indices else x.kind, device=x.device)
    moved, back = by_rows(x, index)
    n = moved.shape[-1]
    flat = sort_rows(moved, x.size // n, n, indices=indices, descending=descending)
    return Array(flat.buffer, layout_of(flat.kind, moved.shape)).transpose(back)


def _gradient(g: Array, _out: Layout, x: Array, *, axis: int | None = -1, descending: bool = False) -> Array:
    """Each element's gradient is that of the place that it went to: the inverse of a permutation sorts it."""
    flat, at = (x.reshape(-1), 0) if axis is None else (x, axis_of(axis, x.ndim, operation="gradient"))
    places = argsort(argsort(flat, axis=at, descending=descending), axis=at)
    return apply(OPERATIONS["take_along_axis"], g, places, axis=at).reshape(x.shape)


def sorted_order(x: Values, *, axis: int | None = -1, descending: bool = False) -> Values:
    """`argsort` of NumPy's arrays: stable in both orders, and with NaN as the largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    # From the last to the first in ascending order, where equal elements must be turned around before.
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    found: Values = x.shape[axis] - 1 - np.flip(turned, axis)
    return found


def sorted_values(x: Values, *, axis: int | None = -1, descending: bool = False) -> Values:
    """`sort` of NumPy's arrays."""
    order = sorted_order(x, axis=axis, descending=descending)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return np.take_along_axis(x, order, axis)


def _samples(name: str) -> Iterator[Sample]:
    """Each dtype in short rows; longer ones, whose kernels have another text for each dtype, of one."""
    for kind in samples.KINDS:
        (x,) = samples.with_specials(kind, 1, 5, 60)
        yield Sample(f"{name} {kind.name} of (5, 60)", (x,), {"axis": 1})
    for shape, axis in (((2, 300), 1), ((70, 2), 0)):
        (x,) = samples.with_specials(F32, 1, *shape)
        yield Sample(f"{name} f32 of {shape}", (x,), {"axis": axis})


def _operands(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return samples.ordinary(kind, 1, *shape, seed=seed)


def _smooth(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    """All different."""
    size = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(size).reshape(shape).astype(kind.numpy) / 8,)


def _expected(sample: Sample, *, indices: bool) -> Expected:
    (x,) = sample.operands
    order = sorted_order if indices else sorted_values
    result = np.asarray(order(x, **sample.options))
    return Expected(result.astype(np.int32) if indices else result, None)


SORT = OPERATIONS.add(
    Operation(
        "sort",
        partial(_forward, "sort"),
        numpy=np.sort,
        function=sort,
        samples=partial(_samples, "sort"),
        operands=_operands,
        smooth=_smooth,
        expected=partial(_expected, indices=False),
        gradient=Gradient(_gradient),
        reference=sorted_values,
    )
)

ARGSORT = OPERATIONS.add(
    Operation(
        "argsort",
        partial(_forward, "argsort", indices=True),
        numpy=np.argsort,
        function=argsort,
        samples=partial(_samples, "argsort"),
        operands=_operands,
        expected=partial(_expected, indices=True),
        gradient="indices are integers, and change in steps",
    )
)
