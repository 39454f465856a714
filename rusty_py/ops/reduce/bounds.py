"""How far rounding may lead reductions from their float64 values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.oracle import rounding

Bounded = tuple[NDArray[np.float64], NDArray[np.float64]]
Values = NDArray[np.floating]

_UNIT = F32.eps / 2


def stored(reference: NDArray[Any], bound: NDArray[Any], dtype: Dtype) -> Bounded:
    """What is left once a result in f32 is rounded to `dtype`."""
    reference = np.asarray(reference, np.float64)
    more = oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=dtype) if dtype is F16 else 0.0
    return reference, bound + more


def mean(x: Values, *, axis: Any, depth: int, dtype: Dtype) -> Bounded:
    """A sum, and a quotient of 2.5 ulp."""
    total, bound = oracle.sum(x, axis=axis, depth=depth, dtype=F32)
    count = x.size / total.size
    reference = total / count
    return stored(reference, 1.01 * bound / count + rounding(reference, ulps=2.5, dtype=F32), dtype)


def product(x: Values, *, axis: Any, depth: int, dtype: Dtype) -> Bounded:
    """One rounding for each factor, in whatever order; a subnormal partial product may become zero."""
    reference = np.asarray(np.prod(x.astype(np.float64), axis=axis))
    roundings = x.size / reference.size * _UNIT
    bound = roundings / (1 - roundings) * np.abs(reference) + 2.0**-126 * np.max(np.abs(x), initial=1.0)
    return stored(reference, bound, dtype)


def variance(x: Values, *, axis: Any, depth: int, dtype: Dtype, correction: float = 0) -> Bounded:
    """The sum of squares S grows by merging sets whose means are off by depth units of max |x|.

    Chan, Golub and LeVeque (1983, table 1) give depth * kappa units for merging by a tree, kappa =
    sqrt(1 + n mean^2 / S): here 4 depth (S + sqrt(S sum x^2)) u, and the square of what the means are off.
    """
    x64 = x.astype(np.float64)
    reference = np.asarray(np.var(x64, axis=axis, correction=correction))
    kept = np.var(x64, axis=axis, keepdims=True)
    count = x.size / reference.size
    squares = np.asarray(kept.reshape(reference.shape)) * count
    total = np.sum(x64**2, axis=axis)
    units = (depth + 4) * _UNIT
    error = 4 * units * (squares + np.sqrt(squares * total)) + (2 * units) ** 2 * total
    bound = error / max(count - correction, 1) + rounding(reference, ulps=2.5, dtype=F32)
    return stored(reference, bound, dtype)


def deviation(x: Values, *, axis: Any, depth: int, dtype: Dtype, correction: float = 0) -> Bounded:
    """The square root of the variance, by 4.5 ulp."""
    square, error = variance(x, axis=axis, depth=depth, dtype=F32, correction=correction)
    return stored(*_root(square, error), dtype)


def _root(square: NDArray[Any], error: NDArray[Any]) -> Bounded:
    reference = np.sqrt(square)
    off = np.maximum(np.sqrt(square + error) - reference, reference - np.sqrt(np.maximum(square - error, 0)))
    return reference, off + rounding(reference + off, ulps=4.5, dtype=F32)


def norm(x: Values, *, axis: Any, depth: int, dtype: Dtype, ord: float = 2) -> Bounded:
    """Sums of magnitudes or squares; the largest and the smallest magnitude are exact."""
    x64 = np.abs(x.astype(np.float64))
    if ord == 2:
        square, error = oracle.sum(x64**2, axis=axis, depth=depth + 1, dtype=F32)
        return stored(*_root(square, error), dtype)
    if ord == 1:
        total, error = oracle.sum(x64, axis=axis, depth=depth, dtype=F32)
        return stored(total, error, dtype)
    reference = np.linalg.vector_norm(x64, axis=axis, ord=ord)
    return stored(reference, np.zeros_like(reference), dtype)


def log_sum_exp(x: Values, *, axis: Any, depth: int, dtype: Dtype) -> Bounded:
    """The sum of exp(x - largest), whose terms are off by 3 + 2 |x - largest| ulp (WGSL's exp) and rescaled.

    Rescaling takes one exp in each step of the tree: terms are off by 3 ulp for each, and 2 |x - largest| ulp
    in all, as are the differences. WGSL's log is off by 3 ulp, or by 2^-21 between 0.5 and 2.
    """
    x64 = x.astype(np.float64)
    with np.errstate(all="ignore"):
        largest = np.max(x64, axis=axis, keepdims=True, initial=-np.inf)
        shift = np.where(np.isinf(largest), 0, largest)
        off = x64 - shift
        terms = np.exp(off)
        total = np.sum(terms, axis=axis, keepdims=True)
        reference = np.log(total) + shift
        ulps = 4 * depth + 3 * np.abs(np.where(terms > 0, off, 0))
        error = np.sum(np.where(terms > 0, terms * ulps * F32.eps, 0), axis=axis, keepdims=True) / total
        bound = error + 2.0**-21 + 3 * F32.eps * np.abs(np.log(total)) + F32.eps * np.abs(reference)
    squeezed = np.asarray(np.sum(reference, axis=axis))
    return stored(squeezed, np.nan_to_num(np.sum(bound, axis=axis)), dtype)
