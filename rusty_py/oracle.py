"""The one judge of numbers: a float64 reference, and how far float32 rounding may lead away from it."""

import math

import numpy as np
from numpy.typing import NDArray

from rusty_py.dtypes import Dtype

_TINY = 2.0**-126  # GPUs may flush what is smaller to zero.


def matmul(
    a: NDArray[np.floating], b: NDArray[np.floating], *, dtype: Dtype, centred: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`a @ b` in float64, and the largest error each element may have when computed in `dtype`.

    a: (m, k), b: (k, n); both results (m, n). The bound is `rounding_factor` times sum |a_i b_i|. Where the
    elements are independent with mean zero, as `centred` says, partial sums grow as sqrt(k), and it is
    `centred_factor` times sqrt(sum (a_i b_i)^2) where that is less: tight enough to see, at any k in use,
    inputs that were cut to 11 bits.
    """
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[-1]
    bound = rounding_factor(k, dtype) * (np.abs(a64) @ np.abs(b64))
    if centred:
        bound = np.minimum(bound, centred_factor(k, dtype) * np.sqrt(a64**2 @ b64**2))
    return a64 @ b64, bound + k * _TINY


def rounding_factor(k: int, dtype: Dtype) -> float:
    """How much of sum |a_i b_i| a sum of k products may lose, whatever the order of its terms.

    min(k, 8 sqrt(k)) units of roundoff: the worst case up to k = 64, and from there the bound that holds
    but for one case in 10^13 when roundings are independent (Higham and Mary, 2019, theorem 2.4).
    """
    return min(k, 8 * math.sqrt(k)) * dtype.eps / 2


def centred_factor(k: int, dtype: Dtype) -> float:
    """How much of sqrt(sum (a_i b_i)^2) a sum of k independent products of mean zero may lose.

    16 sqrt(k) units of roundoff: four standard deviations for the partial sums, which grow as sqrt(k)
    (Higham and Mary, 2020), times four for the sum of the roundings.
    """
    return 16 * math.sqrt(k) * dtype.eps / 2


def centred_norm_bound(
    a: NDArray[np.float32], b: NDArray[np.float32], *, dtype: Dtype
) -> NDArray[np.float64]:
    """A bound no tighter than `matmul`'s centred one, without a matrix product: (m, n) for (m, k) and (k, n).

    By Cauchy and Schwarz, sum (a_i b_i)^2 <= sqrt(sum a_i^4) sqrt(sum b_i^4).
    """
    k = a.shape[-1]
    rows = np.sqrt(np.sum((a**2) ** 2, axis=1, dtype=np.float64))
    cols = np.sqrt(np.sum((b**2) ** 2, axis=0, dtype=np.float64))
    bound: NDArray[np.float64] = centred_factor(k, dtype) * np.sqrt(np.outer(rows, cols)) + k * _TINY
    return bound
