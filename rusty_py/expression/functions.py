"""The functions of reference expressions, by NumPy's names, with the accuracies of the WGSL specification."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rusty_py.dtypes import F32, Dtype
from rusty_py.expression import values
from rusty_py.expression.values import SAFETY, Floats, Value, cast, rounded

Accuracy = Callable[[Floats, Floats, Dtype | None], Any]
"""How far WGSL's function may be from f(x), by x, f(x) and the dtype."""


def monotone(
    function: Callable[[Floats], Floats], accuracy: Accuracy | None = None, *, least: float = -math.inf
) -> Callable[[Value], Value]:
    """An increasing function, defined from `least` on. Without `accuracy` it is exact, as floor is."""

    def applied(x: Value) -> Value:
        x = x if x.is_float or x.dtype is None else cast(x, F32)
        at = np.where((x.value < least) & (x.value + x.error >= least), least, x.value)
        value = np.asarray(function(at))
        ends = np.where(at >= least, np.maximum(at - x.error, least), at - x.error), at + x.error
        low, high = (np.abs(np.asarray(function(end)) - value) for end in ends)
        error = np.maximum(low, high)
        error = np.where(np.isnan(error) & ~np.isnan(value), np.inf, error)
        error = np.where(x.error == 0, 0.0, error)
        if accuracy is None:
            return Value(value, error, x.dtype, x.whole)
        return rounded(value, error + _own(accuracy, at, value, x.dtype), x.dtype)

    return applied


def bounded_slope(function: Callable[[Floats], Floats], accuracy: Accuracy) -> Callable[[Value], Value]:
    """A function with slopes and values up to 1: sin, cos."""

    def applied(x: Value) -> Value:
        x = x if x.is_float or x.dtype is None else cast(x, F32)
        value = np.asarray(function(x.value))
        return rounded(value, np.minimum(x.error, 2.0) + _own(accuracy, x.value, value, x.dtype), x.dtype)

    return applied


def _own(accuracy: Accuracy, x: Floats, value: Floats, dtype: Dtype | None) -> Floats:
    """The error of the function itself."""
    own = accuracy(x, value, dtype) / SAFETY
    return np.where(np.isfinite(own), own, 0.0)


def floor_divide(a: Value, b: Value) -> Value:
    """a // b, rounded down. Where the quotient is within its error of an integer, either one is right."""
    if any(each.is_float for each in (a, b)):
        return monotone(np.floor)(values.divide(a, b))
    a, b, dtype = values.together(a, b)
    return values.weak(rounded(a.value // b.value, a.error + b.error, dtype), a, b)


def remainder(a: Value, b: Value) -> Value:
    """a - b floor(a / b). Where the floor is undecided, off by b."""
    if not any(each.is_float for each in (a, b)):
        a, b, dtype = values.together(a, b)
        return values.weak(rounded(a.value % b.value, a.error + b.error, dtype), a, b)
    steps = floor_divide(a, b)
    a, b, dtype = values.together(a, b, floats=True)
    error = a.error + np.abs(steps.value) * b.error + 2 * values.unit(dtype) * np.abs(a.value)
    error = error + np.where(steps.error >= 1, np.abs(b.value), 0.0)
    return rounded(np.mod(a.value, b.value), error, dtype)


def _exp(x: Any, y: Any, dtype: Dtype | None) -> Any:
    return (3 + 2 * np.abs(x)) * 2 * values.unit(dtype) * np.abs(y)


def _log(x: Any, y: Any, dtype: Dtype | None) -> Any:
    return np.maximum(6 * values.unit(dtype) * np.abs(y), values.absolute_error(2.0**-21, 2.0**-7, dtype))


def _sqrt(x: Any, y: Any, dtype: Dtype | None) -> Any:
    return 9 * values.unit(dtype) * np.abs(y)  # x * inverseSqrt(x), or a quotient.


def _tanh(x: Any, y: Any, dtype: Dtype | None) -> Any:
    return values.absolute_error(1e-5, 2.0**-8, dtype)


def _sin(x: Any, y: Any, dtype: Dtype | None) -> Any:
    return values.absolute_error(2.0**-11, 2.0**-7, dtype) + 2 * values.unit(dtype) * np.abs(x)


# Accuracies are those of the WGSL specification, "Accuracy of concrete floating point expressions".
FUNCTIONS: dict[str, Callable[..., Value]] = {
    "add": values.add,
    "subtract": values.subtract,
    "multiply": values.multiply,
    "divide": values.divide,
    "power": values.power,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "matmul": values.matmul,
    "negative": values.negative,
    "abs": values.absolute,
    "absolute": values.absolute,
    "where": values.where,
    "minimum": values.extremum(np.minimum),
    "maximum": values.extremum(np.maximum),
    **{
        name: values.compare(getattr(np, name))
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    **{name: monotone(getattr(np, name)) for name in ("floor", "ceil", "trunc", "rint", "sign")},
    "exp": monotone(np.exp, _exp),
    "exp2": monotone(np.exp2, _exp),
    "log": monotone(np.log, _log, least=0.0),
    "log2": monotone(np.log2, _log, least=0.0),
    "sqrt": monotone(np.sqrt, _sqrt, least=0.0),
    "tanh": monotone(np.tanh, _tanh),
    "sin": bounded_slope(np.sin, _sin),
    "cos": bounded_slope(np.cos, _sin),
}
