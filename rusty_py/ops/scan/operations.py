"""Cumulative sums and products, under the Array API's names and NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F32, Dtype, DtypeLike
from rusty_py.errors import ShapeError
from rusty_py.layout import Layout, layout_of
from rusty_py.operation import OPERATIONS, Gradient, Operation, Rule, apply
from rusty_py.ops.creation import full
from rusty_py.ops.scan.kernels import depth, scan
from rusty_py.ops.scan.specs import PROD, SUM, Scan
from rusty_py.ops.where import where
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_key, axis_of


def cumulative_sum(
    x: Array | ArrayLike,
    /,
    *,
    axis: int | None = None,
    dtype: DtypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """The cumulative sums of x along `axis`, which may be omitted for arrays of one axis.

    The result has x's dtype, int32 for bool; `dtype` converts first. With `include_initial`, it begins with
    a zero and has one more element. f16 accumulates in f32; integers wrap around. Sums are formed in blocks,
    so the rounding error grows far slower than the length. Raises DtypeError, ShapeError, LimitError,
    OutOfMemory.
    """
    key = axis_key(axis, operation="cumulative_sum")
    return apply(_SUM, x, axis=key, dtype=dtype, include_initial=include_initial)


def cumulative_prod(
    x: Array | ArrayLike,
    /,
    *,
    axis: int | None = None,
    dtype: DtypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """The cumulative products of x along `axis`. Parameters are those of `cumulative_sum`.

    Products are formed in blocks. The product of a block may overflow or underflow although no cumulative
    product does; 0 times an overflow is NaN. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    key = axis_key(axis, operation="cumulative_prod")
    return apply(_PROD, x, axis=key, dtype=dtype, include_initial=include_initial)


def cumsum(x: Array | ArrayLike, /, axis: int | None = None, *, dtype: DtypeLike | None = None) -> Array:
    """numpy.cumsum: `cumulative_sum` over `axis`, or of all elements in row-major order where it is None.

    Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    return apply(_CUMSUM, x, axis=axis_key(axis, operation="cumsum"), dtype=dtype)


def cumprod(x: Array | ArrayLike, /, axis: int | None = None, *, dtype: DtypeLike | None = None) -> Array:
    """numpy.cumprod: `cumulative_prod` over `axis`, or of all elements in row-major order where it is None.

    Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    return apply(_CUMPROD, x, axis=axis_key(axis, operation="cumprod"), dtype=dtype)


def reversed_sum(x: Array, axis: int) -> Array:
    """The sums of the elements of x from each to the end of `axis`: what the gradients need."""
    return apply(_SUM, x, axis=axis, reverse=True)


def _forward(
    row: Scan,
    x: Array,
    *,
    axis: int | None = None,
    dtype: DtypeLike | None = None,
    include_initial: bool = False,
    reverse: bool = False,
) -> Array:
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    index = _axis(row.name, axis, x.ndim)
    shape = tuple(size + (include_initial and each == index) for each, size in enumerate(x.shape))
    if not x.size:  # With `include_initial` there may be results all the same.
        return full(shape, row.identity, dtype=row.result(x.kind), device=x.device)
    order = sorted(range(x.ndim), key=lambda each: -x.strides[each])
    if x.contiguous or not x.transpose(order).contiguous:
        order = list(range(x.ndim))
    moved = x.transpose(order)
    moved = moved if moved.contiguous else moved.copy()
    at = order.index(index)
    box = prod(moved.shape[:at]), moved.shape[at], prod(moved.shape[at + 1 :])
    flat = scan(row, moved, box, reverse=reverse, initial=include_initial)
    out = Array(flat.buffer, layout_of(flat.kind, tuple(shape[each] for each in order)))
    return out.transpose([order.index(each) for each in range(x.ndim)])


def _forward_flat(row: Scan, x: Array, *, axis: int | None = None, dtype: DtypeLike | None = None) -> Array:
    return _forward(row, x.reshape(-1) if axis is None else x, axis=axis, dtype=dtype)


def _axis(name: str, axis: int | None, ndim: int) -> int:
    if ndim == 0:
        raise ShapeError(f"{name}: needs 1 axis or more: x is a scalar; use x.reshape(1)")
    if axis is None and ndim > 1:
        raise ShapeError(f"{name}: of which of {ndim} axes? say axis=, or use x.reshape(-1)")
    return axis_of(0 if axis is None else axis, ndim, operation=name)


# Gradients. An axis of None is that of an array with one; x of `cumsum` may have others.


def _gradient_of_sum(
    g: Array,
    _out: Layout,
    _x: Layout,
    *,
    axis: int | None = None,
    include_initial: bool = False,
    reverse: bool = False,
    **_: object,
) -> Array:
    index = _axis("gradient", axis, g.ndim)
    if include_initial:
        g = g[(*[slice(None)] * index, slice(1, None))]
    summed = apply(_SUM, g, axis=index) if reverse else reversed_sum(g, index)
    return summed.reshape(_x.shape)


def _gradient_of_prod(
    g: Array,
    out: Array,
    x: Array,
    *,
    axis: int | None = None,
    include_initial: bool = False,
    **_: object,
) -> Array:
    """Before the first zero, the sum of g_i * out_i over i >= j, by x_j; at it, of the products without it.

    After the first zero every product has a factor of zero that is not x_j, so the gradient is 0.
    """
    shape = x.shape
    x = x.reshape(-1) if axis is None else x
    index = _axis("gradient", axis, g.ndim)
    if include_initial:
        after_first = (*[slice(None)] * index, slice(1, None))
        g, out = g[after_first], out[after_first]
    is_zero = x == 0
    zeros = cumulative_sum(is_zero, axis=index)
    is_first = is_zero & (zeros == 1)
    without = cumulative_prod(where(is_first, 1, x), axis=index)
    before = reversed_sum(g * out, index) / where(is_zero, 1, x)
    at = reversed_sum(g * without, index)
    return where(zeros == 0, before, where(is_first, at, 0)).reshape(shape)


def _numpy(row: Scan) -> Callable[..., Any]:
    """The Array API's function on NumPy arrays; NumPy has it since 2.1."""
    flat: Callable[..., Values] = np.cumsum if row is SUM else np.cumprod

    def reference(x: Values, *, axis: int | None = None, include_initial: bool = False) -> Values:
        if include_initial:
            axis = axis or 0
            first = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), row.identity, x.dtype)
            x = np.concatenate([first, x], axis=axis)
        return np.asarray(flat(x, axis=axis, dtype=x.dtype))

    return reference


def _samples(row: Scan) -> Iterator[Sample]:
    """Each dtype, by workgroups for rows and by threads for columns."""
    for kind in samples.KINDS:
        cases: list[tuple[Shape, dict[str, Any]]] = [((5, 7), {"axis": 0})]
        if row is SUM or kind is F32:
            cases.append(((2, 1100), {"axis": 1}))
        if row is SUM and kind is F32:
            cases += [((150,), {"axis": None}), ((3, 70, 8), {"axis": 1})]
            cases.append(((3, 70), {"axis": 1, "include_initial": True}))
        for shape, options in cases:
            x = _values(row, kind, *shape)
            yield Sample(f"{row.name} {kind.name} of {shape}", (x,), options)


def _samples_flat(row: Scan) -> Iterator[Sample]:
    x = _values(row, F32, 5, 7)
    for axis in (None, 0):
        yield Sample(f"{row.name} of all, over {axis}", (x,), {"axis": axis})


def _values(row: Scan, kind: Dtype, *shape: int, seed: int = 0) -> Values:
    """Numbers whose products stay in range."""
    x = samples.values(kind, *shape, seed=seed)
    if row is SUM or kind.kind != "f":
        return x
    return np.exp2(np.fmod(x, 1) / 4).astype(kind.numpy)


def _operands(row: Scan, kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return (_values(row, kind, *shape, seed=seed),)


def _expected(row: Scan, sample: Sample) -> Expected:
    (x,), options = sample.operands, sample.options
    kind = next(each for each in samples.KINDS if each.numpy == x.dtype)
    reference = _numpy(row)
    if kind.kind != "f":
        with np.errstate(over="ignore"):
            return Expected(reference(x.astype(row.result(kind).numpy), **options), None)
    axis = options["axis"]
    n = x.size if axis is None else x.shape[axis]
    bound_of = oracle.cumulative_sum if row is SUM else oracle.cumulative_prod
    return Expected(*bound_of(x, partial(reference, **options), depth=depth(n), dtype=kind))


def _define(row: Scan, function: Callable[..., Array], rule: Rule) -> Operation:
    return OPERATIONS.add(
        Operation(
            row.name,
            partial(_forward, row),
            numpy=getattr(np, row.name, _numpy(row)),
            function=function,
            samples=partial(_samples, row),
            operands=partial(_operands, row),
            expected=partial(_expected, row),
            gradient=Gradient(rule),
            reference=_numpy(row),
        )
    )


def _define_flat(row: Scan, function: Callable[..., Array], rule: Rule) -> Operation:
    """The operation by NumPy's older name, which takes all elements in order where no axis is named."""
    return OPERATIONS.add(
        Operation(
            function.__name__,
            partial(_forward_flat, row),
            numpy=getattr(np, function.__name__),
            function=function,
            samples=partial(_samples_flat, row),
            operands=partial(_operands, row),
            expected=partial(_expected, row),
            gradient=Gradient(rule),
        )
    )


_SUM = _define(SUM, cumulative_sum, _gradient_of_sum)
_PROD = _define(PROD, cumulative_prod, _gradient_of_prod)
_CUMSUM = _define_flat(SUM, cumsum, _gradient_of_sum)
_CUMPROD = _define_flat(PROD, cumprod, _gradient_of_prod)
