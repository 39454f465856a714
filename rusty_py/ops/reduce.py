"""Sums and means over axes: passes that each add up to some dozens of elements, coalesced."""

from collections.abc import Sequence
from functools import cache
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype, DtypeLike
from rusty_py.errors import DtypeError
from rusty_py.kernel import Spec, launch
from rusty_py.layout import layout_of
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops.creation import asarray, full, zeros
from rusty_py.ops.table import THREADS, groups_for
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, axes_of, axis_key

MOST_STEPS = 64
"""What one thread adds up. More is fewer passes; less is more threads, and less rounding."""

_TOTAL = {F32: F32, F16: F32, I32: I32, U32: U32, BOOL: I32}

Axis = int | Sequence[int] | None


def sum(
    x: Array | ArrayLike, /, axis: Axis = None, *, dtype: DtypeLike | None = None, keepdims: bool = False
) -> Array:
    """The sum over `axis`, over all of them where it is None.

    The result has x's dtype, int32 for bool; `dtype` converts first. f16 is added up in f32; integers
    wrap around. Rounding grows with `depth`, not with the number of elements. Raises ShapeError, DtypeError.
    """
    return apply(OPERATIONS["sum"], asarray(x), axis=axis_key(axis), dtype=dtype, keepdims=keepdims)


def mean(x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The mean over `axis`, over all of them where it is None; NaN over nothing. f16 is added up in f32.

    x: float32 or float16. Raises DtypeError for others, ShapeError.
    """
    return apply(OPERATIONS["mean"], asarray(x), axis=axis_key(axis), keepdims=keepdims)


def _forward_sum(x: Array, *, axis: Axis, dtype: DtypeLike | None, keepdims: bool) -> Array:
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    target = I32 if x.kind is BOOL else x.kind
    return _sum(x, axes_of(axis, x.ndim, operation="sum"), target, keepdims=keepdims)


def _forward_mean(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    if x.kind.kind != "f":
        raise DtypeError(f'mean: not for {x.kind.name}: convert with .astype("f32")')
    axes = axes_of(axis, x.ndim, operation="mean")
    count = prod(x.shape[axis] for axis in axes)
    total = _sum(x, axes, F32, keepdims=keepdims)
    if not count:
        return full(total.shape, float("nan"), dtype=x.kind, device=x.device)
    return (total / count).astype(x.kind, copy=False)


def widths(n: int) -> list[int]:
    """How many partial sums each pass leaves of `n` elements, the last 1: passes of even length."""
    left, passes = [], 1
    while MOST_STEPS**passes < n:
        passes += 1
    for still in range(passes, 0, -1):
        steps = 1
        while steps**still < n:  # The root, without the rounding of floats.
            steps += 1
        n = ceil_div(n, max(1, steps))
        left.append(n)
    return left


def depth(n: int) -> int:
    """How many roundings an element of a sum of `n` meets at most."""
    steps = 0
    for width in widths(n):
        steps += ceil_div(n, width)
        n = width
    return steps


def _sum(x: Array, axes: Shape, target: Dtype, *, keepdims: bool) -> Array:
    kept = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape)) if keepdims else kept
    if not x.size:
        return zeros(shape, dtype=target, device=x.device)
    x, (outer, n, inner) = _as_box(x, axes)
    for width in widths(n):
        last = width == 1
        kind = target if last else _TOTAL[x.kind]
        out = allocate(x.device, (outer * width * inner,), kind, operation="sum")
        launch(
            x.device,
            _spec(x.kind, kind),
            inputs=[x.buffer],
            outputs=[out.buffer],
            dims=(out.size, n, width, inner, x.offset),
            workgroups=(groups_for(x.device, out.size, operation="sum", steps=ceil_div(n, width) + 1), 1, 1),
            flops=outer * n * inner,
        )
        x, n = out, width
    return Array(x.buffer, layout_of(target, shape))


def _as_box(x: Array, axes: Shape) -> tuple[Array, tuple[int, int, int]]:
    """`x` row-major and as (outer, n, inner), of which n is summed; a copy where its axes lie otherwise."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    order = [*kept, *axes]
    together = not axes or axes[-1] - axes[0] == len(axes) - 1
    if x.contiguous and together:
        first, last = (axes[0], axes[-1] + 1) if axes else (0, 0)
        return x, (prod(x.shape[:first]), prod(x.shape[first:last]), prod(x.shape[last:]))
    moved = x.transpose(order)
    moved = moved if moved.contiguous else moved.copy()
    return moved, (prod(x.shape[axis] for axis in kept), prod(x.shape[axis] for axis in axes), 1)


@cache
def _spec(source: Dtype, target: Dtype) -> Spec:
    types = {"elem": source.wgsl, "total": _TOTAL[source].wgsl, "result": target.wgsl}
    text = "".join(f"alias {name} = {wgsl};\n" for name, wgsl in types.items())
    return Spec("reduce/sum", 1, 1, THREADS, definitions=text, variant=f"{source.name} to {target.name}")


OPERATIONS.add(Operation("sum", _forward_sum, np.sum))
OPERATIONS.add(Operation("mean", _forward_mean, np.mean))


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    pairs = [(F32, F32), (F16, F16), (F16, F32), (F32, F16), (I32, I32), (U32, U32), (BOOL, I32)]
    return [_spec(*pair) for pair in pairs]
