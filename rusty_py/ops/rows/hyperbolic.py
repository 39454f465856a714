"""Hyperbolic functions and their inverses."""

import numpy as np

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.powers import hypot, sqrt


def _of_sinh(g: Array, _out: Array, x: Array) -> Array:
    return g * cosh(x)


sinh = define_unary(
    Row(
        "sinh",
        "accurate_sinh(x)",
        np.sinh,
        "f",
        ulps=6,
        f16_in_f32=True,
        by_dtype={"f16": "sinh_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(_of_sinh,),
    )
)
cosh = define_unary(
    Row(
        "cosh",
        "accurate_cosh(x)",
        np.cosh,
        "f",
        ulps=5,
        f16_in_f32=True,
        by_dtype={"f16": "cosh_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: g * sinh(x),),
    )
)
# The error of WGSL's exp, 3 + 2 |x| ulp, is multiplied by at most 0.63; a quotient and two sums follow.
tanh = define_unary(
    Row(
        "tanh",
        "accurate_tanh(x)",
        np.tanh,
        "f",
        ulps=8,
        f16_in_f32=True,
        by_dtype={"f16": "tanh_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, _x: g * ((1.0 - out) * (1.0 + out)),),
    )
)
asinh = define_unary(
    Row(
        "asinh",
        "accurate_asinh(x)",
        np.arcsinh,
        "f",
        ulps=10,
        f16_in_f32=True,
        by_dtype={"f16": "asinh_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: g / hypot(x, 1.0),),
        aliases=("arcsinh",),
    )
)
arcsinh = asinh
acosh = define_unary(
    Row(
        "acosh",
        "accurate_acosh(x)",
        np.arccosh,
        "f",
        ulps=10,
        f16_in_f32=True,
        by_dtype={"f16": "acosh_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.above_one,
        gradient=(lambda g, _out, x: g / (sqrt(x - 1.0) * sqrt(x + 1.0)),),
        aliases=("arccosh",),
    )
)
arccosh = acosh
atanh = define_unary(
    Row(
        "atanh",
        "accurate_atanh(x)",
        np.arctanh,
        "f",
        ulps=8,
        f16_in_f32=True,
        by_dtype={"f16": "atanh_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.below_one,
        gradient=(lambda g, _out, x: g / ((1.0 - x) * (1.0 + x)),),
        aliases=("arctanh",),
    )
)
arctanh = atanh
