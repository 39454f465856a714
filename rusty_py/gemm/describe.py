"""Converts arrays to GEMM problems: checks dtypes and shapes, derives matrix layouts.

`Array` is defined in a layer above; this module uses views and the attributes shared with NumPy arrays.
"""

from collections.abc import Iterator
from itertools import product
from math import gcd
from typing import Any

import numpy as np

from rusty_py import dtypes
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DtypeError, ShapeError, UnsupportedError
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, MatrixLayouts
from rusty_py.runtime.device import Device
from rusty_py.views import Shape, View, broadcast_strides, collapse, reshaped, row_major

# Dtypes and shapes.


def is_array(x: object) -> bool:
    """Whether `x` is an `Array` (defined in a layer above)."""
    return hasattr(x, "buffer")


def shape_of(x: Any) -> Shape:
    """The shape of an array or array-like."""
    shape: Shape = x.shape if is_array(x) or isinstance(x, np.ndarray) else np.asarray(x).shape
    return shape


def kind_of(a: Any, b: Any, dtype: str | None) -> Dtype:
    """The dtype of a product: `dtype` if given, float16 if both operands are float16, else float32."""
    if dtype is not None:
        return dtypes.parse(dtype, operation="matmul")
    kinds = []
    for each in (a, b):
        held = each.dtype if is_array(each) or isinstance(each, np.ndarray) else np.asarray(each).dtype
        if held.kind != "f" or held.itemsize > 4:
            way = (
                'convert with .astype("f32")' if is_array(each) else "pass dtype='f32' to compute in float32"
            )
            raise DtypeError(f"matmul: computes in float32, got {held}: {way}")
        kinds.append(held.itemsize)
    return F16 if kinds == [2, 2] else F32


def check_computes(device: Device, kind: Dtype) -> None:
    """Raises DtypeError if the device does not support `kind`."""
    if kind is F16 and "shader-f16" not in device.adapter.features:
        raise DtypeError(f'matmul: {device.adapter} does not compute in f16: use dtype="f32"')


def result_shape(a: Shape, b: Shape, batch: Shape) -> Shape:
    """The shape of a @ b with these leading axes; a 1-D operand adds no axis."""
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def check_out(out: Any, shape: Shape, kind: Dtype, *, on_host: bool) -> None:
    """Raises ShapeError, DtypeError or UnsupportedError if `out` cannot hold the result."""
    if not (isinstance(out, np.ndarray) if on_host else is_array(out)):
        wanted = "a NumPy array" if on_host else "an Array"
        raise DtypeError(f"matmul: out is {wanted} where the result is: got {type(out).__name__}")
    if out.shape != shape:
        raise ShapeError(f"matmul: out has another shape than the result: {out.shape}, {shape}")
    if out.dtype != kind.numpy:
        raise DtypeError(f"matmul: out has another dtype than the result: {out.dtype}, {kind.numpy}")
    repeats = any(size > 1 and not stride for size, stride in zip(out.shape, out.strides, strict=True))
    if repeats and out.size:
        raise ShapeError(f"matmul: out repeats elements: strides {out.strides} of shape {out.shape}")
    if on_host and not out.flags.writeable:
        raise UnsupportedError("matmul: out cannot be written: it is read-only")


# Matrix layouts.


def matrices(x: View, size: tuple[int, int]) -> View | None:
    """`x` as matrices of `size` with a unit stride; None if that requires a copy."""
    shape = (*x.shape[:-2], *size)
    strides = reshaped(x.shape, x.strides, shape) or row_major(shape)
    layout = MatrixLayout(0, 0, *strides[-2:]).normalized(*size)
    return View(x.offset, shape, (*strides[:-2], *layout[2:])) if 1 in layout[2:] else None


def problem_of(
    x: View, y: View, z: View, *, dtype: Dtype, accumulate_dtype: Dtype, bias: bool, activation: str
) -> GemmProblem:
    """The problem of one launch: a batch along the last of the collapsed leading axes."""
    sizes, _ = _batch(x, y, z)
    (m, k), n = x.shape[-2:], y.shape[-1]
    # For vec4 alignment, the greatest common divisor represents the strides of all leading axes.
    a, b, c = (MatrixLayout(each.offset, gcd(*each.strides[:-2]), *each.strides[-2:]) for each in (x, y, z))
    return GemmProblem.of(
        m,
        k,
        n,
        sizes[-1] if sizes else 1,
        layouts=(a, b, c),
        dtype=dtype,
        accumulate_dtype=accumulate_dtype,
        bias=bias,
        activation=activation,
    )


def layouts_of(x: View, y: View, z: View) -> Iterator[MatrixLayouts]:
    """The layouts of each launch: one launch per index of the leading axes before the last."""
    views = x, y, z
    sizes, steps = _batch(x, y, z)
    for position in product(*map(range, sizes[:-1])):
        a, b, c = (
            MatrixLayout(
                view.offset + sum(i * stride for i, stride in zip(position, step, strict=False)),
                step[-1] if step else 0,
                *view.strides[-2:],
            )
            for view, step in zip(views, steps, strict=True)
        )
        yield a, b, c


def _batch(x: View, y: View, z: View) -> tuple[Shape, tuple[Shape, ...]]:
    """The leading axes, collapsed where possible, and their strides in x, y and z."""
    lead = z.shape[:-2]
    steps = (broadcast_strides(each.shape[:-2], each.strides[:-2], lead) for each in (x, y, z))
    return collapse(lead, *steps)
