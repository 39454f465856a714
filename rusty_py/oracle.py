"""The one judge of numbers: a float64 reference, and how far float32 rounding may lead away from it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16, F32, Dtype

_TINY = 2.0**-126  # GPUs may flush what is smaller to zero.
_TINY_F16 = 2.0**-14


class Expected(NamedTuple):
    """A result in its own dtype where it must be exact, else float64 and what each element may be off."""

    reference: NDArray[Any]
    bound: NDArray[np.float64] | None

    def error(self, result: NDArray[Any]) -> float:
        """The largest error as a fraction of its bound: above 1 is wrong. Of what is exact, 0 or infinite."""
        if result.shape != self.reference.shape:
            return np.inf
        return float(np.max(self.errors(result), initial=0.0))

    def errors(self, result: NDArray[Any]) -> NDArray[np.float64]:
        """The error of each element as a fraction of its bound."""
        reference, bound = self
        both_nan = (result != result) & (reference != reference)
        same = both_nan | (result == reference)
        if bound is None:
            return np.where(same, 0.0, np.inf)
        with np.errstate(invalid="ignore"):
            off = np.abs(result.astype(np.float64) - reference) / bound
        return np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))


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


def matmul_of_f16_sums(
    a: NDArray[np.float16], b: NDArray[np.float16], *, depth: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`a @ b` in float64, and the largest error of sums of `depth` products in f16 that f32 adds up.

    A chain of d fused multiply-adds errs by d u / (1 - d u) times the sum of its |a_i b_i| (Higham 2002,
    lemma 8.4), u = 2^-11 here, and each of them may flush what is below 2^-14. The chains' sums are then
    terms of an f32 sum (Blanchard, Higham and Mary 2020, section 3): a tile that is short makes one more.
    """
    k = a.shape[-1]
    roundings = min(k, depth) * F16.eps / 2
    chain = roundings / (1 - roundings)
    terms = -(-k // depth) + 1
    reference, _ = matmul(a, b, dtype=F32)
    magnitude = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    bound: NDArray[np.float64] = (chain + (1 + chain) * rounding_factor(terms, F32)) * magnitude
    return reference, bound + k * _TINY_F16


def finished(
    reference: NDArray[np.float64],
    bound: NDArray[np.float64],
    *,
    terms: Sequence[NDArray[np.floating]] = (),
    activation: str = "",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is left of a product's reference and bound once f32 has added `terms` and applied `activation`.

    An activation multiplies the error it is given by its steepest slope at most, and adds its own, also that
    of the result which is off.
    """
    for term in terms:
        reference = reference + term
        bound = bound + F32.eps / 2 * (np.abs(reference) + bound)
    if not activation:
        return reference, bound
    found, own = activated(reference, name=activation, dtype=F32)
    passed = ACTIVATIONS[activation].slope * bound
    return found, passed + 1.01 * own + F32.eps * passed


def activated(
    x: NDArray[np.floating], *parameters: NDArray[np.floating], name: str, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The activation of `x` in float64, and how far our kernel may be from it.

    For f16 some take WGSL's exp and short polynomials: an eighth of an ulp.
    """
    exact = x.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        reference = np.asarray(ACTIVATIONS[name].of(exact, *parameters))
        ulps = np.broadcast_to(np.asarray(ACTIVATIONS[name].ulps(exact), np.float64), reference.shape)
        bound = np.where(np.isfinite(reference), rounding(reference, ulps=ulps, dtype=F32), 0)
        if dtype is F16:
            bound = bound + rounding(reference, ulps=0.63, dtype=F16)
    return reference, bound


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


def sum(
    x: NDArray[np.floating], *, axis: int | tuple[int, ...] | None, depth: int, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum of `x` over `axis` in float64, and the largest error of one added up in f32, stored in `dtype`.

    No element meets more than `depth` roundings on its way: the bound is depth u / (1 - depth u) times
    sum |x_i| (Higham 2002, section 4.2), and one rounding of the result.
    """
    x64 = x.astype(np.float64)
    reference = np.asarray(x64.sum(axis=axis))
    roundings = depth * F32.eps / 2
    bound = roundings / (1 - roundings) * np.abs(x64).sum(axis=axis) + x.size * _TINY
    return reference, bound + rounding(reference, ulps=0.5, dtype=dtype)


def cumulative_sum(
    x: NDArray[np.floating],
    scan: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    depth: int,
    dtype: Dtype,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`scan` of `x` in float64, and the largest error of one added up in f32, stored in `dtype`.

    As for `sum`: no element meets more than `depth` roundings on its way to any of the results.
    """
    x64 = x.astype(np.float64)
    reference = scan(x64)
    roundings = depth * F32.eps / 2
    bound = roundings / (1 - roundings) * scan(np.abs(x64)) + x.size * _TINY
    return reference, bound + rounding(reference, ulps=0.5, dtype=dtype)


def cumulative_prod(
    x: NDArray[np.floating],
    scan: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    depth: int,
    dtype: Dtype,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`scan` of `x` in float64, and the largest error of one multiplied in f32, stored in `dtype`.

    A product of k factors, or of ones beside them, takes k - 1 roundings in whatever order (Higham 2002,
    section 3.1): no more than `x` has elements. `depth` is not needed.
    """
    reference = scan(x.astype(np.float64))
    roundings = x.size * F32.eps / 2
    bound = roundings / (1 - roundings) * np.abs(reference)
    return reference, bound + rounding(reference, ulps=0.5, dtype=dtype)


def rounding(
    reference: NDArray[np.float64], *, ulps: float | NDArray[np.float64], dtype: Dtype
) -> NDArray[np.float64]:
    """How far a result may be from `reference` where WGSL allows `ulps` units of `dtype`."""
    tiny = _TINY_F16 if dtype is F16 else _TINY
    bound: NDArray[np.float64] = ulps * dtype.eps * np.abs(reference) + tiny
    return bound


def power(
    x: NDArray[np.floating], y: NDArray[np.floating], *, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`x ** y` in float64, and how far our kernel may be from it.

    Integers n up to 32 take n - 1 roundings, in whatever order they multiply, and a quotient if negative.
    Other powers are polynomials and a few roundings.
    """
    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    size = np.abs(y64)
    multiplied = (size <= 32) & (size == np.rint(size))
    ulps = np.where(multiplied, size / 2 + 3 * (y64 < 0), 4.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reference = x64**y64
    bound = rounding(reference, ulps=ulps, dtype=F32)
    return reference, bound + (rounding(reference, ulps=0.5, dtype=dtype) if dtype is F16 else 0)


def logaddexp(
    x: NDArray[np.floating], y: NDArray[np.floating], *, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log(e^x + e^y) in float64, and how far our kernel may be from it.

    4 ulp of its two terms, max(x, y) and log(1 + e^-|x - y|): where they cancel, the result has fewer digits.
    128 in f16, which is computed by shorter formulas.
    """
    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    reference = np.logaddexp(x64, y64)
    larger = np.maximum(x64, y64)
    terms = np.where(np.isfinite(larger), np.abs(larger) + np.abs(reference - larger), 0)
    bound = rounding(terms, ulps=128 if dtype is F16 else 4, dtype=F32)
    return reference, bound + (rounding(reference, ulps=0.5, dtype=dtype) if dtype is F16 else 0)


def integer_power(x: NDArray[np.integer], y: NDArray[np.integer]) -> NDArray[Any]:
    """`x ** y` modulo 2^32; of a negative exponent, which NumPy refuses, the whole part of the quotient."""
    whole = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2, -1, 1), 0)) if x.dtype.kind == "i" else 0
    with np.errstate(over="ignore"):
        return np.where(y < 0, whole, np.power(x, np.maximum(y, 0))).astype(x.dtype)


def floor_divide(
    x: NDArray[np.floating], y: NDArray[np.floating], *, dtype: Dtype
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`x // y` in float64, and how far our kernel may be from it.

    It computes the quotient to 24 bits or more and rounds it once: it is exact below 2^24, and infinite where
    f32 cannot hold it.
    """
    reference = np.floor_divide(x.astype(np.float64), y.astype(np.float64))
    with np.errstate(over="ignore"):
        reference = np.where(np.isinf(reference.astype(dtype.numpy)), np.sign(reference) * np.inf, reference)
    exact = np.abs(reference) < min(2.0**24, 2 / dtype.eps)
    return reference, np.where(exact, 0, rounding(reference, ulps=1.5, dtype=dtype))
