"""Activations, which operations and epilogues share: names, WGSL, and what they give in float64."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Activation(StrEnum):
    """The activations of `matmul`, accepted wherever their names are. GELU is the tanh form."""

    NONE = "none"
    RELU = "relu"
    LEAKY_RELU = "leaky_relu"
    GELU = "gelu_tanh"
    GELU_ERF = "gelu"
    SILU = "silu"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    SOFTPLUS = "softplus"
    ELU = "elu"
    HARDSWISH = "hardswish"


@dataclass(frozen=True)
class Description:
    """`wgsl` of the f32 x calls a function of wgsl/lib; `of` is the function of float64 arrays.

    An error of x is multiplied by `slope` at most. The function's own error is `ulps` times float32's eps,
    relative to the result.
    """

    wgsl: str
    of: Callable[..., Floats]
    slope: float
    ulps: Callable[[Floats], Floats | float]


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x), without overflow."""
    e = np.exp(-np.abs(x))
    result: Floats = np.where(x < 0, e, 1.0) / (1 + e)
    return np.where(np.isnan(x), x, result)


def _times(x: Floats, share: Floats) -> Floats:
    """The product, which is 0 where the share is, for infinite x as well."""
    result: Floats = np.where(share == 0, 0.0, x * np.where(share == 0, 1.0, share))
    return result


def gelu_exponent(x: Floats) -> Floats:
    """2 sqrt(2 / pi) (x + 0.044715 x^3)."""
    result: Floats = 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return result


def normal_distribution(x: Floats) -> Floats:
    """(1 + erf(x / sqrt(2))) / 2."""
    erfc = np.asarray(np.frompyfunc(math.erfc, 1, 1)(-np.asarray(x) / math.sqrt(2)), np.float64)
    return 0.5 * erfc


def leaky_relu(x: Floats, negative_slope: float = 0.01) -> Floats:
    """x, below 0 times `negative_slope`."""
    return np.where(x > 0, x, negative_slope * x)


def elu(x: Floats, alpha: float = 1.0) -> Floats:
    """x, below 0 `alpha` (e^x - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def hardswish(x: Floats) -> Floats:
    """x max(0, min(1, (x + 3) / 6))."""
    return _times(x, np.clip(x + 3, 0, 6) / 6)


def _constant(ulps: float) -> Callable[[Floats], float]:
    return lambda x: ulps


def _of_gelu_tanh(x: Floats) -> Floats:
    """Its exponent, rounded three times, passes on its error to what is far below 0."""
    y = np.minimum(np.abs(gelu_exponent(x)), 200)
    result: Floats = 16 + 2 * y * sigmoid(-gelu_exponent(x))
    return result


# A quotient has an error of 2.5 ulp, WGSL's exp of arguments up to 0.4 of 4, expm1 of 3, accurate_tanh and
# the polynomial of gelu of 8.
ACTIVATIONS: dict[str, Description] = {
    "relu": Description("relu(x)", lambda x: np.where(x < 0, 0.0, x), 1, _constant(0)),
    "leaky_relu": Description("leaky_relu(x, 0.01)", leaky_relu, 1, _constant(2)),
    "tanh": Description("accurate_tanh(x)", np.tanh, 1, _constant(8)),
    "sigmoid": Description("sigmoid(x)", sigmoid, 0.25, _constant(12)),
    "silu": Description("silu(x)", lambda x: _times(x, sigmoid(x)), 1.1, _constant(16)),
    "gelu": Description("gelu(x)", lambda x: _times(x, normal_distribution(x)), 1.13, _constant(24)),
    "gelu_tanh": Description(
        "gelu_tanh(x)", lambda x: _times(x, sigmoid(gelu_exponent(x))), 1.13, _of_gelu_tanh
    ),
    "softplus": Description("softplus(x)", lambda x: np.logaddexp(x, 0.0), 1, _constant(12)),
    "elu": Description("elu(x, 1.0)", elu, 1, _constant(4)),
    "hardswish": Description("hardswish(x)", hardswish, 1.5, _constant(5)),
}
"""By the names of operations."""
