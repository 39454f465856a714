"""Powers and roots."""

import math

import numpy as np

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.exponential import log
from rusty_py.ops.where import where


def _of_base(g: Array, _out: Array, x: Array | float, y: Array | float) -> Array | None:
    """y x^(y - 1), which is 0 for y = 0 and any x."""
    if isinstance(y, Array):
        return where(y == 0, 0.0, g * (y * pow(x, where(y == 0, 1.0, y - 1.0))))
    return g * (y * pow(x, y - 1.0)) if y else None


def _of_exponent(g: Array, out: Array, x: Array | float, _y: Array | float) -> Array | None:
    """x^y log(x); 0 for x <= 0, where nearby exponents have no power, or one of 0."""
    if isinstance(x, Array):
        return where(x > 0, g * out * log(where(x > 0, x, 1.0)), 0.0)
    return g * out * math.log(x) if x > 0 else None


pow = define_binary(
    Row(
        "pow",
        "power(x, y)",
        np.power,
        bound=oracle.power,
        integers=oracle.integer_power,
        f16_in_f32=True,
        by_dtype={"i32": "power_i32(x, y)", "u32": "power_u32(x, y)"},
        operands=samples.powers,
        smooth=samples.positive,
        gradient=(_of_base, _of_exponent),
        aliases=("power",),
    )
)
power = pow
square = define_unary(
    Row("square", "x * x", np.square, gradient=(lambda g, _out, x: g * (2.0 * x),)),
)
reciprocal = define_unary(
    Row(
        "reciprocal",
        "reciprocal(x)",
        np.reciprocal,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "reciprocal_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, _x: -(g * (out * out)),),
    )
)
# WGSL's sqrt has the error of 1 / inverseSqrt: 2 ulp, and 2.5 of the quotient.
sqrt = define_unary(
    Row(
        "sqrt",
        "accurate_sqrt(x)",
        np.sqrt,
        "f",
        ulps=5,
        f16_in_f32=True,
        by_dtype={"f16": "sqrt_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, out, _x: 0.5 * g / out,),
    )
)
rsqrt = define_unary(
    Row(
        "rsqrt",
        "rsqrt(x)",
        None,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "rsqrt_for_f16(x)"},
        reference=lambda x: 1 / np.sqrt(x),
        arity=1,
        formula="1 / sqrt(x)",
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, out, _x: -0.5 * g * (out * out * out),),
    )
)
cbrt = define_unary(
    Row(
        "cbrt",
        "cbrt(x)",
        np.cbrt,
        "f",
        ulps=5,
        f16_in_f32=True,
        by_dtype={"f16": "cbrt_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, _x: g / (3.0 * (out * out)),),
    )
)
hypot = define_binary(
    Row(
        "hypot",
        "hypot(x, y)",
        np.hypot,
        "f",
        ulps=6,
        mirror="hypot",
        f16_in_f32=True,
        by_dtype={"f16": "hypot_for_f16(x, y)"},
        operands=samples.with_specials,
        gradient=(
            lambda g, out, x, _y: g * (x / where(out == 0, 1.0, out)),
            lambda g, out, _x, y: g * (y / where(out == 0, 1.0, out)),
        ),
    )
)
