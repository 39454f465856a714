"""Row operations in float64, and how far those in f32 may be off: what the records of operations refer to.

Units are those of the WGSL specification ("Accuracy of concrete floating point expressions"): 3 + 2 |x| for
exp(x), 2.5 for a quotient, 2 for inverseSqrt; log is off by 2^-21 in [0.5, 2], and by 3 units elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F16, F32
from rusty_py.oracle import Expected

Floats = NDArray[Any]
Axes = tuple[int, ...]
_EPS = F32.eps

# A combination of two states has an exponential function and two roundings at most.
_ROUNDINGS = 8


def factor(n: int) -> float:
    """How much of the sum of the sizes of n elements a reduction of a row may lose, on any tile.

    An element meets the elements of its thread, a combination for each 16 elements of a chunk or for each
    part of a row, and a tree.
    """
    depth = min(n, 48 + n // 16 + n // 1024)
    return oracle.rounding_factor(_ROUNDINGS * depth, F32)


def stored(reference: Floats, bound: Floats, dtype: np.dtype[Any]) -> Expected:
    """With the rounding of a result in f16, or of one in f32.

    WGSL leaves it open which of the two neighbours in f16 an f32 becomes.
    """
    kind, ulps = (F16, 1.0) if dtype == F16.numpy else (F32, 0.5)
    return Expected(reference, bound + oracle.rounding(np.abs(reference) + bound, ulps=ulps, dtype=kind))


def softmax(x: Floats, *, axis: int = -1) -> Floats:
    """In float64; 0 for a row of -infinity."""
    exponentials, total, _ = _exponentials(x, axis)
    with np.errstate(invalid="ignore"):
        return np.where(total == 0, 0.0, exponentials / np.where(total == 0, 1.0, total))


def log_softmax(x: Floats, *, axis: int = -1) -> Floats:
    """In float64; a row of -infinity stays as it is."""
    _, total, shifted = _exponentials(x, axis)
    result: Floats = shifted - np.log(np.where(total == 0, 1.0, total))
    return result


def _exponentials(x: Floats, axis: int) -> tuple[Floats, Floats, Floats]:
    """exp(x - largest), its sum, and x - largest."""
    x = x.astype(np.float64)
    largest = np.max(x, axis=axis, keepdims=True, initial=np.finfo(np.float32).min)
    with np.errstate(invalid="ignore"):
        shifted = x - largest
        exponentials = np.exp(shifted)
    return exponentials, exponentials.sum(axis=axis, keepdims=True), shifted


def _error_of_sum(exponentials: Floats, total: Floats, shifted: Floats, axis: int) -> Floats:
    """The relative error of the sum of exponentials: of each 3 + 2.5 |x - largest| units, and of the sum."""
    sizes = np.where(exponentials > 0, np.abs(shifted), 0.0)
    own = (exponentials * (6 + 2.5 * sizes)).sum(axis=axis, keepdims=True) / np.where(total == 0, 1.0, total)
    relative: Floats = own * _EPS + factor(shifted.shape[axis])
    return relative


def expected_softmax(x: Floats, *, axis: int = -1) -> Expected:
    """The error of a quotient of an exponential and the sum of all."""
    exponentials, total, shifted = _exponentials(x, axis)
    reference = softmax(x, axis=axis)
    sizes = np.where(exponentials > 0, np.abs(shifted), 0.0)
    relative = (6 + 2.5 * sizes) * _EPS + _error_of_sum(exponentials, total, shifted, axis)
    return stored(reference, relative * np.abs(reference), x.dtype)


def expected_log_softmax(x: Floats, *, axis: int = -1) -> Expected:
    """The error of the sum becomes absolute; two differences are rounded."""
    exponentials, total, shifted = _exponentials(x, axis)
    reference = log_softmax(x, axis=axis)
    log = np.abs(np.log(np.where(total == 0, 1.0, total)))
    absolute = _error_of_sum(exponentials, total, shifted, axis) + 2.0**-21 + 3 * _EPS * log
    sizes = np.where(np.isfinite(shifted), np.abs(shifted), 0.0)
    return stored(reference, absolute + _EPS * (sizes + log), x.dtype)


def softmax_gradient(y: Floats, g: Floats, *, axis: int = -1) -> Floats:
    """In float64."""
    y, g = y.astype(np.float64), g.astype(np.float64)
    gradient: Floats = y * (g - (g * y).sum(axis=axis, keepdims=True))
    return gradient


def expected_softmax_gradient(y: Floats, g: Floats, *, axis: int = -1) -> Expected:
    """The error of the sum, of a difference and of a product."""
    reference, lost = softmax_gradient(y, g, axis=axis), factor(y.shape[axis])
    y, g, kind = y.astype(np.float64), g.astype(np.float64), y.dtype
    total = np.abs(g * y).sum(axis=axis, keepdims=True)
    return stored(reference, np.abs(y) * ((lost + _EPS) * total + _EPS * (np.abs(g) + total)), kind)


def log_softmax_gradient(y: Floats, g: Floats, *, axis: int = -1) -> Floats:
    """In float64."""
    y, g = y.astype(np.float64), g.astype(np.float64)
    gradient: Floats = g - np.exp(y) * g.sum(axis=axis, keepdims=True)
    return gradient


def expected_log_softmax_gradient(y: Floats, g: Floats, *, axis: int = -1) -> Expected:
    """The error of the sum, of an exponential function, a product and a difference."""
    reference, lost = log_softmax_gradient(y, g, axis=axis), factor(y.shape[axis])
    y, g, kind = y.astype(np.float64), g.astype(np.float64), y.dtype
    total = np.abs(g).sum(axis=axis, keepdims=True)
    sizes = np.where(np.isfinite(y), np.abs(y), 0.0)
    product = np.exp(y) * total * (lost + (4 + 2 * sizes) * _EPS)
    return stored(reference, product + _EPS * np.abs(reference), kind)


def moments(x: Floats, axes: Axes, *, centred: bool) -> tuple[Floats, Floats]:
    """The mean, 0 if not `centred`, and the mean square of differences from it."""
    mean = x.mean(axis=axes, keepdims=True) if centred else np.zeros_like(x.sum(axis=axes, keepdims=True))
    return mean, ((x - mean) ** 2).mean(axis=axes, keepdims=True)


def norm(x: Floats, axes: Axes, eps: float, *, centred: bool) -> Floats:
    """layer_norm or rms_norm in float64, without weight and bias."""
    x = x.astype(np.float64)
    mean, variance = moments(x, axes, centred=centred)
    normalized: Floats = (x - mean) / np.sqrt(variance + eps)
    return normalized


def norm_errors(x: Floats, axes: Axes, eps: float, *, centred: bool) -> tuple[Floats, Floats, Floats]:
    """1 / sqrt(variance + eps), its relative error, and the absolute error of a normalized element.

    The means of threads are off by `factor` of the sizes of their elements, whose root mean square may be
    that of an outlier among few: 4 allows for that. The variance takes up that error twice the deviation.
    """
    x = x.astype(np.float64)
    mean, variance = moments(x, axes, centred=centred)
    lost = factor(_count(x, axes))
    off = 4 * lost * np.sqrt((x**2).mean(axis=axes, keepdims=True)) if centred else np.zeros_like(mean)
    of_variance = 2 * np.sqrt(variance) * off + off**2 + lost * variance + _EPS * (variance + eps)
    reciprocal = 1 / np.sqrt(variance + eps)
    relative = of_variance / (variance + eps) + 2 * _EPS  # Half of it, were it small.
    return reciprocal, relative, reciprocal * (off + _EPS * np.abs(x - mean)) * (1 + relative)


def affine_norm(x: Floats, *affine: Floats, axes: Axes, eps: float, centred: bool) -> Floats:
    """layer_norm or rms_norm in float64, with as many of weight and bias as are given."""
    result = norm(x, axes, eps, centred=centred)
    for operator, each in zip((np.multiply, np.add), affine, strict=False):
        result = operator(result, each.astype(np.float64))
    return result


def expected_norm(x: Floats, *affine: Floats, axes: Axes, eps: float, centred: bool) -> Expected:
    """The error of a normalized element, times the weight, and four more roundings."""
    _, relative, absolute = norm_errors(x, axes, eps, centred=centred)
    weight = np.abs(affine[0].astype(np.float64)) if affine else 1.0
    scaled = np.abs(norm(x, axes, eps, centred=centred)) * weight
    reference = affine_norm(x, *affine, axes=axes, eps=eps, centred=centred)
    bound = weight * absolute + scaled * (relative + 2 * _EPS) + _EPS * np.abs(reference)
    return stored(reference, bound, x.dtype)


def norm_sums(x: Floats, g: Floats, *, axes: Axes, eps: float, centred: bool) -> Floats:
    """The sums over rows of g * z, and of g if `centred`, in float64, where z is the normalized x."""
    g = g.astype(np.float64)
    return _over_rows([g * norm(x, axes, eps, centred=centred), *[g] * centred], axes)


def expected_norm_sums(x: Floats, g: Floats, *, axes: Axes, eps: float, centred: bool) -> Expected:
    """The errors of normalized elements, and of sums."""
    reference = norm_sums(x, g, axes=axes, eps=eps, centred=centred)
    _, relative, absolute = norm_errors(x, axes, eps, centred=centred)
    size, z = np.abs(g.astype(np.float64)), np.abs(norm(x, axes, eps, centred=centred))
    lost = oracle.rounding_factor(2 * _count(x, tuple(range(axes[0]))) + 8, F32)
    of_product = size * (absolute + z * (relative + 2 * _EPS + lost))
    return stored(reference, _over_rows([of_product, *[size * lost] * centred], axes), reference.dtype)


def _over_rows(terms: list[Floats], axes: Axes) -> Floats:
    rows = tuple(range(axes[0]))
    return np.stack([np.asarray(each.sum(axis=rows)).reshape(-1) for each in terms])


def norm_gradient(x: Floats, g: Floats, axes: Axes, eps: float, *, centred: bool) -> Floats:
    """The gradient of x in float64, from that of the normalized elements."""
    x, g = x.astype(np.float64), g.astype(np.float64)
    z = norm(x, axes, eps, centred=centred)
    reciprocal = 1 / np.sqrt(moments(x, axes, centred=centred)[1] + eps)
    mean = g.mean(axis=axes, keepdims=True) if centred else 0.0
    gradient: Floats = reciprocal * (g - mean - z * (g * z).mean(axis=axes, keepdims=True))
    return gradient


def scaled_norm_gradient(
    x: Floats, g: Floats, *weight: Floats, axes: Axes, eps: float, centred: bool
) -> Floats:
    """The gradient of x in float64, from that of the result, with a weight if one is given."""
    return norm_gradient(x, _scaled(g, weight), axes, eps, centred=centred)


def expected_norm_gradient(
    x: Floats, g: Floats, *weight: Floats, axes: Axes, eps: float, centred: bool
) -> Expected:
    """The errors of the means of g and of g * z, where z is normalized and has an error itself.

    Means of products are at most the product of root mean squares, and so are their errors.
    """
    reference = scaled_norm_gradient(x, g, *weight, axes=axes, eps=eps, centred=centred)
    lost = factor(_count(x, axes))
    reciprocal, relative, absolute = norm_errors(x, axes, eps, centred=centred)
    g, z = _scaled(g, weight), norm(x, axes, eps, centred=centred)
    size_g, size_z, off = (
        np.sqrt((each**2).mean(axis=axes, keepdims=True)) for each in (g, z, absolute * np.ones_like(z))
    )
    product = np.abs((g * z).mean(axis=axes, keepdims=True))
    of_product = size_g * (size_z * (4 * lost + 3 * relative + 4 * _EPS) + off)
    bound = 4 * lost * size_g + np.abs(z) * of_product + (absolute + np.abs(z) * 3 * relative) * product
    bound = bound + _EPS * (np.abs(g) + size_g + np.abs(z) * product)
    return stored(reference, reciprocal * bound * (1 + relative) + np.abs(reference) * relative, x.dtype)


def _scaled(g: Floats, weight: tuple[Floats, ...]) -> Floats:
    wide = g.astype(np.float64)
    return wide * weight[0] if weight else wide


def _count(x: Floats, axes: Axes) -> int:
    return int(np.prod([x.shape[axis] for axis in axes], dtype=int))
