"""Sums, products, quotients, and the larger and smaller of two."""

import numpy as np

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.where import where


def _to_winner(g: Array, wins: Array, ties: Array) -> Array:
    """The gradient where the operand is the result, half of it where both are."""
    return where(wins, g, where(ties, 0.5 * g, 0.0))


def _apart(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[samples.Values, ...]:
    """Two operands that differ everywhere."""
    x, y = (samples.values(kind, *shape, seed=seed + i) for i in range(arity))
    return x, np.where(x == y, y + kind.numpy.type(1), y)


add = define_binary(
    Row(
        "add",
        "x + y",
        np.add,
        mirror="add",
        gradient=(lambda g, _out, _x, _y: g, lambda g, _out, _x, _y: g),
    )
)
subtract = define_binary(
    Row(
        "subtract",
        "x - y",
        np.subtract,
        gradient=(lambda g, _out, _x, _y: g, lambda g, _out, _x, _y: -g),
    )
)
multiply = define_binary(
    Row(
        "multiply",
        "x * y",
        np.multiply,
        mirror="multiply",
        gradient=(lambda g, _out, _x, y: g * y, lambda g, _out, x, _y: g * x),
    )
)
divide = define_binary(
    Row(
        "divide",
        "x / y",
        np.divide,
        "f",
        ulps=2.5,
        gradient=(lambda g, _out, _x, y: g / y, lambda g, out, _x, y: -(g * out) / y),
    )
)
negative = define_unary(
    Row(
        "negative",
        "-x",
        np.negative,
        ulps=0,
        by_dtype={"u32": "0u - x"},
        gradient=(lambda g, _out, _x: -g,),
    )
)
abs = define_unary(
    Row(
        "abs",
        "abs(x)",
        np.absolute,
        ulps=0,
        by_dtype={"u32": "x"},
        gradient=(lambda g, _out, x: where(x > 0, g, where(x < 0, -g, 0.0)),),
        aliases=("absolute",),
    )
)
absolute = abs
maximum = define_binary(
    Row(
        "maximum",
        "select(select(max(x, y), y, is_nan(y)), x, is_nan(x))",
        np.maximum,
        "fiub",
        ulps=0,
        mirror="maximum",
        f16_in_f32=True,
        by_dtype={"i32": "max(x, y)", "u32": "max(x, y)", "bool": "max(x, y)"},
        operands=samples.with_specials,
        gradient=(
            lambda g, _out, x, y: _to_winner(g, x > y, x == y),
            lambda g, _out, x, y: _to_winner(g, y > x, x == y),
        ),
        smooth=_apart,
    )
)
minimum = define_binary(
    Row(
        "minimum",
        "select(select(min(x, y), y, is_nan(y)), x, is_nan(x))",
        np.minimum,
        "fiub",
        ulps=0,
        mirror="minimum",
        f16_in_f32=True,
        by_dtype={"i32": "min(x, y)", "u32": "min(x, y)", "bool": "min(x, y)"},
        operands=samples.with_specials,
        gradient=(
            lambda g, _out, x, y: _to_winner(g, x < y, x == y),
            lambda g, _out, x, y: _to_winner(g, y < x, x == y),
        ),
        smooth=_apart,
    )
)
