"""Activations, and the kernels of their gradients: one launch each, the gradient g of the result included."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import activations, oracle, samples
from rusty_py.activations import ACTIVATIONS, Floats
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype, scalar_word
from rusty_py.errors import UnsupportedError
from rusty_py.operation import Rule, apply
from rusty_py.ops.elementwise import define, define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.arithmetic import minimum
from rusty_py.ops.rows.exponential import exp
from rusty_py.ops.where import where

_C, _A = 2 * math.sqrt(2 / math.pi), 0.044715  # Of gelu's tanh form: y = C (x + A x^3).


def _row(name: str, rule: Rule, formula: str, *, parameters: Mapping[str, float] | None = None) -> Row:
    described = ACTIVATIONS[name]
    return Row(
        name,
        described.wgsl if not parameters else f"{name}(x, y)",
        None,
        "f",
        bound=partial(oracle.activated, name=name),
        f16_in_f32=True,
        by_dtype={"f16": f"{name}_for_f16(x)"} if name in _SHORT_FOR_F16 else {},
        operands=samples.with_specials,
        gradient=(rule,),
        reference=described.of,
        arity=1,
        formula=formula,
        parameters=parameters or {},
    )


_SHORT_FOR_F16 = {"sigmoid", "silu", "gelu", "gelu_tanh", "softplus"}


def _gradient_row(
    name: str,
    slope: Callable[..., Floats],
    second: Rule | None,
    *,
    parameters: Mapping[str, float] | None = None,
) -> Callable[..., Array]:
    """Registers g times `slope` of y as an operation without a public name; returns its function.

    y is the operand of the activation, or its result. `second(h, g, y, *parameters)` is the gradient of y.
    """

    def on_host(g: Any, y: Any, *more: float) -> Any:
        return g * slope(y, *more)

    def bound(g: Any, y: Any, *more: float, dtype: Dtype) -> tuple[Floats, Floats]:
        exact = np.asarray(on_host(g.astype(np.float64), y.astype(np.float64), *more))
        size = np.where(np.isfinite(exact), np.abs(g.astype(np.float64)), 0)
        room = oracle.rounding(size, ulps=16, dtype=F32)
        return exact, room + (oracle.rounding(exact, ulps=0.5, dtype=F16) if dtype is F16 else 0)

    def function(g: Array, y: Array, *more: float) -> Array:
        words = tuple(scalar_word(each, F32, operation=name) for each in more)
        return apply(operation, g, y, words=words)

    rule = None if second is None else lambda h, _out, g, y, *more: second(h, g, y, *more)
    operation = define(
        Row(
            f"{name}_gradient",
            f"{name}_gradient(x, y{', z' if parameters else ''})",
            None,
            "f",
            bound=bound,
            f16_in_f32=True,
            gradient=(lambda h, _out, _g, y, *more: function(h, y, *more), rule),
            reference=on_host,
            arity=2,
            parameters=parameters or {},
        )
    )
    return function


_relu_gradient = _gradient_row("relu", lambda y: np.where(y > 0, 1.0, 0.0), None)
_leaky_relu_gradient = _gradient_row(
    "leaky_relu",
    lambda x, slope=0.01: np.where(x > 0, 1.0, slope),
    None,
    parameters={"negative_slope": 0.01},
)
_elu_gradient = _gradient_row(
    "elu",
    lambda x, alpha=1.0: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
    lambda h, g, x, alpha=1.0: where(x > 0, 0.0, h * g * (alpha * exp(minimum(x, 0.0)))),
    parameters={"alpha": 1.0},
)
_hardswish_gradient = _gradient_row(
    "hardswish",
    lambda x: np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, (2 * x + 3) / 6)),
    lambda h, g, x: where((x < 3) & (x > -3), h * g * (1 / 3), 0.0),
)
_sigmoid_gradient = _gradient_row("sigmoid", lambda y: y * (1 - y), lambda h, g, y: h * g * (1.0 - 2.0 * y))


def _slope_of_silu(x: Floats) -> Floats:
    s = activations.sigmoid(x)
    return s * (1 + x * (1 - s))


def _second_of_silu(h: Array, g: Array, x: Array) -> Array:
    s, rest = sigmoid(x), sigmoid(-x)
    return h * g * (s * rest * (2.0 + x * (rest - s)))


def _slope_of_gelu(x: Floats) -> Floats:
    density: Floats = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return activations.normal_distribution(x) + x * density


def _second_of_gelu(h: Array, g: Array, x: Array) -> Array:
    square = x * x
    return h * g * ((2.0 - square) * exp(square * -0.5) * (1 / math.sqrt(2 * math.pi)))


def _slope_of_gelu_tanh(x: Floats) -> Floats:
    s = activations.sigmoid(activations.gelu_exponent(x))
    return s + x * s * (1 - s) * _C * (1 + 3 * _A * x * x)


def _second_of_gelu_tanh(h: Array, g: Array, x: Array) -> Array:
    """s (1 - s) (2 y' + x y'' + x y'^2 (1 - 2 s)) for s = sigmoid(y)."""
    square = x * x
    y, steep = x * (_C + _C * _A * square), _C + 3 * _C * _A * square
    s, rest = sigmoid(y), sigmoid(-y)
    return h * g * (s * rest * (2.0 * steep + square * (6 * _C * _A) + x * steep * steep * (rest - s)))


_silu_gradient = _gradient_row("silu", _slope_of_silu, _second_of_silu)
_gelu_gradient = _gradient_row("gelu", _slope_of_gelu, _second_of_gelu)
_gelu_tanh_gradient = _gradient_row("gelu_tanh", _slope_of_gelu_tanh, _second_of_gelu_tanh)

relu = define_unary(_row("relu", lambda g, out, _x: _relu_gradient(g, out), "max(x, 0)"))
sigmoid = define_unary(
    _row("sigmoid", lambda g, out, _x: _sigmoid_gradient(g, out), "The logistic function 1 / (1 + exp(-x))")
)
silu = define_unary(_row("silu", lambda g, _out, x: _silu_gradient(g, x), "x * sigmoid(x)"))
softplus = define_unary(_row("softplus", lambda g, _out, x: g * sigmoid(x), "log(1 + exp(x))"))
hardswish = define_unary(
    _row("hardswish", lambda g, _out, x: _hardswish_gradient(g, x), "x * clip(x + 3, 0, 6) / 6")
)


def gelu(x: Array | ArrayLike, /, *, approximate: str = "none") -> Array:
    """x * Phi(x), elementwise, where Phi(x) = (1 + erf(x / sqrt(2))) / 2: for f32, f16.

    With `approximate="tanh"`, Phi(x) is (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2. Raises
    UnsupportedError for another `approximate`, DtypeError, LimitError, OutOfMemory.
    """
    if approximate not in ("none", "tanh"):
        raise UnsupportedError(f"gelu: no such approximation: {approximate!r}; choose none or tanh")
    return apply(_GELU if approximate == "none" else _GELU_TANH, x)


def leaky_relu(x: Array | ArrayLike, /, *, negative_slope: float = 0.01) -> Array:
    """x where it is positive, else `negative_slope` * x, elementwise: for f32, f16.

    Raises DtypeError, LimitError, OutOfMemory.
    """
    return apply(_LEAKY_RELU, x, words=(scalar_word(negative_slope, F32, operation="leaky_relu"),))


def elu(x: Array | ArrayLike, /, *, alpha: float = 1.0) -> Array:
    """x where it is positive, else `alpha` * (exp(x) - 1), elementwise: for f32, f16.

    Raises DtypeError, LimitError, OutOfMemory.
    """
    return apply(_ELU, x, words=(scalar_word(alpha, F32, operation="elu"),))


_GELU = define(_row("gelu", lambda g, _out, x: _gelu_gradient(g, x), ""), gelu)
_GELU_TANH = define(_row("gelu_tanh", lambda g, _out, x: _gelu_tanh_gradient(g, x), ""))
_LEAKY_RELU = define(
    _row(
        "leaky_relu",
        lambda g, _out, x, negative_slope=0.01: _leaky_relu_gradient(g, x, negative_slope),
        "",
        parameters={"negative_slope": 0.01},
    ),
    leaky_relu,
)
_ELU = define(
    _row(
        "elu",
        lambda g, _out, x, alpha=1.0: _elu_gradient(g, x, alpha),
        "",
        parameters={"alpha": 1.0},
    ),
    elu,
)
