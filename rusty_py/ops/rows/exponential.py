"""Exponentials and logarithms.

The bounds in ulp are those of the polynomials in wgsl/lib and of the few roundings that follow.
"""

import math

import numpy as np

from rusty_py import oracle, samples
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row

exp = define_unary(
    Row(
        "exp",
        "accurate_exp(x)",
        np.exp,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "exp_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, _x: g * out,),
    )
)
exp2 = define_unary(
    Row(
        "exp2",
        "accurate_exp2(x)",
        np.exp2,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "exp2_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, _x: g * (out * math.log(2)),),
    )
)
# e^x, not out + 1, which loses what is small.
expm1 = define_unary(
    Row(
        "expm1",
        "expm1(x)",
        np.expm1,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "expm1_for_f16(x)"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, x: g * exp(x),),
    )
)
log = define_unary(
    Row(
        "log",
        "accurate_log(x)",
        np.log,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "log_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, _out, x: g / x,),
    )
)
log1p = define_unary(
    Row(
        "log1p",
        "log1p(x)",
        np.log1p,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "log1p_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, _out, x: g / (x + 1.0),),
    )
)
log2 = define_unary(
    Row(
        "log2",
        "accurate_log2(x)",
        np.log2,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "log2_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, _out, x: g / (x * math.log(2)),),
    )
)
log10 = define_unary(
    Row(
        "log10",
        "log10(x)",
        np.log10,
        "f",
        ulps=3,
        f16_in_f32=True,
        by_dtype={"f16": "log10_for_f16(x)"},
        operands=samples.with_specials,
        smooth=samples.positive,
        gradient=(lambda g, _out, x: g / (x * math.log(10)),),
    )
)
logaddexp = define_binary(
    Row(
        "logaddexp",
        "logaddexp(x, y)",
        np.logaddexp,
        "f",
        bound=oracle.logaddexp,
        mirror="logaddexp",
        f16_in_f32=True,
        by_dtype={"f16": "logaddexp_for_f16(x, y)"},
        operands=samples.with_specials,
        gradient=(lambda g, out, x, _y: g * exp(x - out), lambda g, out, _x, y: g * exp(y - out)),
    )
)
