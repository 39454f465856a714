"""Sine to arctangent."""

import numpy as np

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.powers import hypot, sqrt
from rusty_py.ops.where import where


def _of_sin(g: Array, _out: Array, x: Array) -> Array:
    return g * cos(x)


def _side(x: Array) -> Array:
    """sqrt(1 - x^2), also near 1."""
    return sqrt((1.0 - x) * (1.0 + x))


def _over_square(g: Array, part: Array | float, y: Array | float, x: Array | float) -> Array:
    """g part / (x^2 + y^2), 0 at the origin, by hypot, because the square might overflow."""
    distance = hypot(x, y)
    distance = where(distance == 0, 1.0, distance)
    return g * (part / distance / distance)


sin = define_unary(
    Row(
        "sin",
        "accurate_sin(x)",
        np.sin,
        "f",
        ulps=4,
        f16_in_f32=True,
        by_dtype={"f16": "sin_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(_of_sin,),
    )
)
cos = define_unary(
    Row(
        "cos",
        "accurate_cos(x)",
        np.cos,
        "f",
        ulps=4,
        f16_in_f32=True,
        by_dtype={"f16": "cos_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: -(g * sin(x)),),
    )
)
tan = define_unary(
    Row(
        "tan",
        "accurate_tan(x)",
        np.tan,
        "f",
        ulps=8,
        f16_in_f32=True,
        by_dtype={"f16": "tan_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.below_one,
        gradient=(lambda g, out, _x: g * (1.0 + out * out),),
    )
)
# From 1/2 on, the error of a square root, which the difference to pi / 2 at most doubles.
asin = define_unary(
    Row(
        "asin",
        "accurate_asin(x)",
        np.arcsin,
        "f",
        ulps=12,
        f16_in_f32=True,
        by_dtype={"f16": "asin_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.below_one,
        gradient=(lambda g, _out, x: g / _side(x),),
        aliases=("arcsin",),
    )
)
arcsin = asin
acos = define_unary(
    Row(
        "acos",
        "accurate_acos(x)",
        np.arccos,
        "f",
        ulps=8,
        f16_in_f32=True,
        by_dtype={"f16": "acos_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.below_one,
        gradient=(lambda g, _out, x: -(g / _side(x)),),
        aliases=("arccos",),
    )
)
arccos = acos
atan = define_unary(
    Row(
        "atan",
        "accurate_atan(x)",
        np.arctan,
        "f",
        ulps=6,
        f16_in_f32=True,
        by_dtype={"f16": "atan_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: g / (1.0 + x * x),),
        aliases=("arctan",),
    )
)
arctan = atan
atan2 = define_binary(
    Row(
        "atan2",
        "accurate_atan2(x, y)",
        np.arctan2,
        "f",
        ulps=10,
        f16_in_f32=True,
        by_dtype={"f16": "atan2_for_f16(x, y)"},
        operands=samples.with_specials,
        gradient=(
            lambda g, _out, y, x: _over_square(g, x, y, x),
            lambda g, _out, y, x: -_over_square(g, y, y, x),
        ),
        aliases=("arctan2",),
    )
)
arctan2 = atan2
