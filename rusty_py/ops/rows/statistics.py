"""Reductions with options: variances, norms, and the logarithm of a sum of exponentials."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.operation import apply
from rusty_py.ops.reduce import bounds, gradients
from rusty_py.ops.reduce.monoid import Accumulator, Monoid
from rusty_py.ops.reduce.operations import define_reduction, register
from rusty_py.ops.reduce.reduction import Axis, Reduction
from rusty_py.views import axis_key, float_of

_MOMENTS = Monoid(
    {"": "merged_moments(a, b)"},
    {"": "Moments(0.0, 0.0, 0.0)"},
    Accumulator("Moments", ("count", "mean", "squares")),
    one="Moments(1.0, x, select(nan(), 0.0, is_finite(x)))",
    four="moments_of_four(x)",
    sixteen="moments_of_sixteen(a, b, c, d)",
    finish="x.squares / number",
)
_LOG_SUM = Monoid(
    {"": "merged_log_sums(a, b)"},
    {"": "LogSum(-infinity(), 0.0)"},
    Accumulator("LogSum", ("largest", "sum")),
    one="log_sum_of_one(x)",
    four="log_sum_of_four(x)",
    finish="log_of_sum(x)",
)


def var(
    x: Array | ArrayLike, /, axis: Axis = None, *, correction: float = 0, keepdims: bool = False
) -> Array:
    """The variance over `axis`: the sum of squared deviations from the mean, divided by n - `correction`.

    For f32 and f16, which is computed in f32; one read of memory, its error as that of two passes. NaN where
    n - `correction` is not positive. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    key, less = axis_key(axis, operation="var"), float_of(correction, "correction", operation="var")
    return apply(_VAR, x, axis=key, correction=less, keepdims=keepdims)


def std(
    x: Array | ArrayLike, /, axis: Axis = None, *, correction: float = 0, keepdims: bool = False
) -> Array:
    """The standard deviation over `axis`: the square root of `var`.

    The gradient is zero where the result is. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    key, less = axis_key(axis, operation="std"), float_of(correction, "correction", operation="std")
    return apply(_STD, x, axis=key, correction=less, keepdims=keepdims)


def _divisor(count: int, *, correction: float = 0) -> float:
    return count - correction if count > correction else nan


_VAR = register(
    Reduction(
        "var",
        np.var,
        _MOMENTS,
        "f",
        of_nothing=nan,
        number=_divisor,
        bound=bounds.variance,
        gradient=gradients.of_var,
    ),
    var,
)
_STD = register(
    Reduction(
        "std",
        np.std,
        replace(_MOMENTS, finish="sqrt(x.squares / number)"),
        "f",
        of_nothing=nan,
        number=_divisor,
        bound=bounds.deviation,
        gradient=gradients.of_std,
    ),
    std,
)


def _log_sum_exp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """As ours, of NumPy arrays; float16 in float32."""
    reduce: Any = np.logaddexp.reduce
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    return reduce(wide, axis=axis, keepdims=keepdims).astype(x.dtype)


logsumexp = define_reduction(
    Reduction(
        "logsumexp",
        _log_sum_exp,
        _LOG_SUM,
        "f",
        in_numpy=False,
        of_nothing=-inf,
        bound=bounds.log_sum_exp,
        operands=samples.with_specials,
        gradient=gradients.of_logsumexp,
    )
)
