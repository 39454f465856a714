"""Arithmetic on values with error bounds: running error analysis (Higham 2002, section 3.3).

Each operation adds the error of rounding its result once to the errors that its operands pass on: of
monotone functions the distance to the values at both ends of the operand's interval, else by derivatives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype
from rusty_py.errors import DtypeError, LimitError, ShapeError

MAX_ELEMENTS = 1 << 26
MAX_MATMUL_FLOPS = 1 << 36
SAFETY = 4
"""The final bound is so many times the error. Bounds of the WGSL specification enter divided by it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """An array: float64 for floats, else of its own dtype, and how far a kernel's values may be from it.

    `dtype` is None for Python's numbers, which take that of the other operand; `whole` if it is an integer.
    Of a bool, an error of 1 means undecided.
    """

    value: NDArray[Any]
    error: Floats
    dtype: Dtype | None
    whole: bool = False

    @property
    def is_float(self) -> bool:
        return self.dtype is F32 or self.dtype is F16 or (self.dtype is None and not self.whole)


def exact(array: NDArray[Any], dtype: Dtype | None, *, whole: bool = False) -> Value:
    """A value without error."""
    value = array.astype(np.float64) if array.dtype.kind == "f" else array
    return Value(value, np.zeros(array.shape), dtype, whole)


def unit(dtype: Dtype | None) -> float:
    """The unit roundoff; Python's numbers are computed in float64."""
    return dtype.eps / 2 if dtype else 2.0**-53


def rounded(value: NDArray[Any], error: Floats, dtype: Dtype | None) -> Value:
    """The result of one operation: with the error of its rounding. Integers have none."""
    error = np.asarray(error, np.float64)
    if dtype is None or dtype.kind == "f":
        value = np.asarray(value, np.float64)
        if dtype is not None:
            off = oracle.rounding(value, ulps=0.5, dtype=dtype)
            error = error + np.where(np.isfinite(value), off, 0.0)
    return Value(np.asarray(value), error, dtype)


def together(a: Value, b: Value, *, floats: bool = False) -> tuple[Value, Value, Dtype | None]:
    """Both in the dtype they are computed in, a float with `floats`."""
    size = math.prod(np.broadcast_shapes(a.value.shape, b.value.shape))
    if size > MAX_ELEMENTS:
        raise LimitError(f"reference: a value is too large: {size} > {MAX_ELEMENTS} elements")
    dtype = _common(a, b)
    if floats and dtype is not None and dtype.kind != "f":
        dtype = F32
    return cast(a, dtype), cast(b, dtype), dtype


def _common(a: Value, b: Value) -> Dtype | None:
    """The dtype of two operands. Bools count, as i32."""
    one, other = (I32 if each.dtype is BOOL else each.dtype for each in (a, b))
    if one is other:
        return one
    if one is None or other is None:
        known, number = (other, a) if one is None else (one, b)
        assert known
        return known if known.kind == "f" or number.whole else F32
    if "f" in (one.kind, other.kind):
        return F16 if BOOL in (a.dtype, b.dtype) and F16 in (one, other) else F32
    if BOOL in (a.dtype, b.dtype):
        return other if a.dtype is BOOL else one
    raise DtypeError(f"reference: dtypes do not mix: {one.name} and {other.name}")


def cast(x: Value, dtype: Dtype | None) -> Value:
    """`x` in a dtype that holds its kind."""
    if dtype is x.dtype:
        return x
    if dtype is None or dtype.kind == "f":
        value = x.value.astype(np.float64)
        if dtype is None:
            return Value(value, x.error, None, x.whole)
        with np.errstate(over="ignore"):
            off = np.abs(value.astype(dtype.numpy).astype(np.float64) - value)
        return Value(value, x.error + np.where(np.isfinite(off), off, 0.0), dtype)
    value = x.value
    if x.dtype is None:
        info = np.iinfo(dtype.stored.name)
        if not info.min <= float(value) <= info.max:
            raise DtypeError(f"reference: the integer does not fit {dtype.name}: {float(value):.0f}")
    return Value(value.astype(dtype.stored), x.error, dtype)


def add(a: Value, b: Value) -> Value:
    """a + b."""
    a, b, dtype = together(a, b)
    return weak(rounded(a.value + b.value, a.error + b.error, dtype), a, b)


def subtract(a: Value, b: Value) -> Value:
    """a - b."""
    a, b, dtype = together(a, b)
    return weak(rounded(a.value - b.value, a.error + b.error, dtype), a, b)


def multiply(a: Value, b: Value) -> Value:
    """a * b."""
    a, b, dtype = together(a, b)
    error = _times(np.abs(a.value), b.error) + _times(np.abs(b.value), a.error) + _times(a.error, b.error)
    return weak(rounded(a.value * b.value, error, dtype), a, b)


def divide(a: Value, b: Value) -> Value:
    """2.5 units off, by the WGSL specification."""
    a, b, dtype = together(a, b, floats=True)
    value = a.value.astype(np.float64) / b.value
    nearest = np.abs(b.value) - b.error
    error = np.where(nearest > 0, (a.error + np.abs(value) * b.error) / nearest, np.inf)
    error = np.where((a.error == 0) & (b.error == 0), 0.0, error)
    return rounded(value, error + 2.5 / SAFETY * 2 * unit(dtype) * np.abs(value), dtype)


def power(a: Value, b: Value) -> Value:
    """By repeated multiplication, or exp2(b log2(a)) with the accuracy of the WGSL specification."""
    if (a.dtype or b.dtype) and not any(each.is_float for each in (a, b)):
        return _integer_power(a, b)
    a, b, dtype = together(a, b, floats=True)
    value = np.power(a.value, b.value)
    result = rounded(value, _power_error(a, b, value) + _power_accuracy(a, b, value, dtype), dtype)
    return weak(result, a, b) if np.all(b.value >= 0) else result


def _integer_power(a: Value, b: Value) -> Value:
    a, b, dtype = together(a, b)
    if np.any(np.less(b.value, 0)):
        raise DtypeError("reference: integers to negative powers are not integers: use floats")
    # Only what is undecided has an error, and then any.
    return rounded(np.power(a.value, b.value), np.where(a.error + b.error > 0, np.inf, 0.0), dtype)


def _power_error(a: Value, b: Value, value: Floats) -> Floats:
    """The errors of the operands, passed on: within the box of both, the extremes are at its corners."""
    error = np.zeros(value.shape)
    for x in (a.value - a.error, a.value + a.error):
        x = np.where((a.value > 0) & (x < 0), 0.0, x)
        for y in (b.value - b.error, b.value + b.error):
            off = np.abs(np.power(x, y) - value)
            error = np.maximum(error, np.where(np.isnan(off) & ~np.isnan(value), np.inf, off))
    error = np.where((b.value < 0) & (a.error >= np.abs(a.value)) & (a.error > 0), np.inf, error)
    return np.where((a.error == 0) & (b.error == 0), 0.0, error)


def _power_accuracy(a: Value, b: Value, value: Floats, dtype: Dtype | None) -> Floats:
    """The error of the function itself: of log2, times b, of exp2, and of as many multiplications."""
    eps = 2 * unit(dtype)
    log = np.abs(np.log2(np.abs(a.value), where=a.value != 0, out=np.zeros(np.shape(a.value))))
    off_log = np.where(log <= 1, absolute_error(2.0**-21, 2.0**-7, dtype), 3 * eps * log)
    relative = math.log(2) * np.abs(b.value) * off_log
    relative = relative + (3 + 2 * np.abs(b.value) * log + np.abs(b.value)) * eps
    return np.where(np.isfinite(value), relative / SAFETY * np.abs(value), 0.0)


def matmul(a: Value, b: Value) -> Value:
    """With the bound of `oracle.matmul`."""
    if not (a.value.ndim and b.value.ndim):
        raise ShapeError("reference: @ takes arrays of at least one axis")
    k = a.value.shape[-1]
    rows = math.prod(a.value.shape[:-1])
    columns = math.prod((*b.value.shape[:-2], *b.value.shape[-1:])) if b.value.ndim > 1 else 1
    if 2 * rows * k * columns > MAX_MATMUL_FLOPS:
        raise LimitError(f"reference: @ is too large: {rows} x {k} x {columns}")
    if a.dtype is not b.dtype:
        raise DtypeError("reference: @ takes two arrays of one dtype")
    if a.dtype is not F32 and a.dtype is not F16:
        return rounded(a.value @ b.value, np.where(a.error.any() or b.error.any(), np.inf, 0.0), a.dtype)
    sizes = np.abs(a.value), np.abs(b.value)
    error = oracle.rounding_factor(k, a.dtype) * (sizes[0] @ sizes[1]) + k * tiny(a.dtype)
    if a.error.any() or b.error.any():
        error = error + a.error @ sizes[1] + sizes[0] @ b.error + a.error @ b.error
    return rounded(a.value @ b.value, np.asarray(error), a.dtype)


def compare(function: Callable[..., NDArray[Any]]) -> Callable[[Value, Value], Value]:
    """A comparison: undecided where the difference is within the errors."""

    def compared(a: Value, b: Value) -> Value:
        a, b, _ = together(a, b)
        error = a.error + b.error
        with np.errstate(invalid="ignore"):
            near = np.abs(np.subtract(a.value, b.value, dtype=np.float64)) <= error
        return Value(np.asarray(function(a.value, b.value)), (near & (error > 0)).astype(np.float64), BOOL)

    return compared


def where(condition: Value, a: Value, b: Value) -> Value:
    """Where the condition is undecided, either value is right."""
    if condition.dtype is not BOOL:
        raise DtypeError("reference: where chooses by a comparison")
    a, b, dtype = together(a, b)
    value = np.where(condition.value.astype(bool), a.value, b.value)
    error = np.where(condition.value.astype(bool), a.error, b.error)
    apart = np.abs(a.value.astype(np.float64) - b.value) + np.maximum(a.error, b.error)
    return Value(value, np.where(condition.error > 0, apart, error), dtype, a.whole and b.whole)


def extremum(function: Callable[..., NDArray[Any]]) -> Callable[[Value, Value], Value]:
    """minimum or maximum: exact, no further off than its operands."""

    def chosen(a: Value, b: Value) -> Value:
        a, b, dtype = together(a, b)
        return Value(
            np.asarray(function(a.value, b.value)), np.maximum(a.error, b.error), dtype, a.whole and b.whole
        )

    return chosen


def negative(x: Value) -> Value:
    """-x, exactly."""
    return Value(-x.value, x.error, x.dtype, x.whole)


def absolute(x: Value) -> Value:
    """abs(x), exactly."""
    return Value(np.abs(x.value), x.error, x.dtype, x.whole)


def absolute_error(f32: float, f16: float, dtype: Dtype | None) -> float:
    """The specification's absolute error for a dtype; none for Python's numbers."""
    return f16 if dtype is F16 else f32 if dtype else 0.0


def tiny(dtype: Dtype | None) -> float:
    """What a GPU may flush to zero."""
    return float(oracle.rounding(np.zeros(()), ulps=0.5, dtype=dtype or F32))


def _times(a: NDArray[Any], error: Floats) -> Floats:
    """Their product; 0 where the error is 0, also if `a` is infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(error == 0, 0.0, a * error)


def weak(result: Value, a: Value, b: Value) -> Value:
    """The result of two of Python's numbers is one, whole if both are."""
    if result.dtype is not None:
        return result
    return Value(result.value, result.error, None, a.whole and b.whole)
