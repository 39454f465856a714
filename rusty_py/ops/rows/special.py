"""The error function, which NumPy lacks."""

import math

import numpy as np
from numpy.typing import NDArray

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.exponential import exp


def _elementwise(function: np.ufunc, x: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(function(x), np.float64)


def _erf(x: NDArray[np.floating]) -> NDArray[np.float64]:
    return _elementwise(np.frompyfunc(math.erf, 1, 1), x)


def _erfc(x: NDArray[np.floating]) -> NDArray[np.float64]:
    return _elementwise(np.frompyfunc(math.erfc, 1, 1), x)


def _slope(g: Array, x: Array) -> Array:
    return g * (2 / math.sqrt(math.pi) * exp(-(x * x)))


erf = define_unary(
    Row(
        "erf",
        "erf(x)",
        None,
        "f",
        ulps=4,
        f16_in_f32=True,
        by_dtype={"f16": "erf_for_f16(x)"},
        reference=_erf,
        arity=1,
        formula="The error function of x, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: _slope(g, x),),
    )
)
# Two exponentials, two quotients and a polynomial.
erfc = define_unary(
    Row(
        "erfc",
        "erfc(x)",
        None,
        "f",
        ulps=12,
        f16_in_f32=True,
        by_dtype={"f16": "erfc_for_f16(x)"},
        reference=_erfc,
        arity=1,
        formula="1 - erf(x), without cancellation for large x",
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: -_slope(g, x),),
    )
)
