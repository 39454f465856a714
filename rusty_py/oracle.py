"""The one judge of numbers: a float64 reference, and how far float32 rounding may lead away from it."""

import math

import numpy as np
from numpy.typing import NDArray

from rusty_py.dtypes import Dtype

_TINY = 2.0**-126  # GPUs may flush what is smaller to zero.
_LAMBDA = 8.0


def rounding_factor(k: int, dtype: Dtype) -> float:
    """How much of sum |a_i b_i| a sum of k products may lose, whatever the order of its terms.

    min(k, 8 sqrt(k)) units of roundoff: the worst case up to k = 64, and from there the bound that holds
    but for one case in 10^13 when roundings are independent (Higham and Mary, 2019, theorem 2.4).
    """
    return min(k, _LAMBDA * math.sqrt(k)) * dtype.eps / 2


def matmul(
    a: NDArray[np.floating], b: NDArray[np.floating], *, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`a @ b` in float64, and the largest error each element may have when computed in `dtype`.

    a: (m, k), b: (k, n); both results (m, n).
    """
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[-1]
    bound = rounding_factor(k, dtype) * (np.abs(a64) @ np.abs(b64)) + k * _TINY
    return a64 @ b64, bound
