"""Division with a remainder: exact in integers, and in floats but for one rounding."""

import numpy as np

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_binary
from rusty_py.ops.row import Row
from rusty_py.ops.rows.rounding import round


def _gradient_of_divisor(g: Array, _out: Array, x: Array, y: Array) -> Array:
    return -g * floor_divide(x, y)


def _gradient_of_truncated_divisor(g: Array, out: Array, x: Array, y: Array) -> Array:
    return -g * round((x - out) / y)


floor_divide = define_binary(
    Row(
        "floor_divide",
        "floored_quotient(x, y)",
        np.floor_divide,
        bound=oracle.floor_divide,
        f16_in_f32=True,
        by_dtype={"i32": "floored_quotient_i32(x, y)", "u32": "quotient_u32(x, y)"},
        operands=samples.with_specials,
        smooth=samples.with_remainder,
        gradient=(None, None),
    )
)
remainder = define_binary(
    Row(
        "remainder",
        "floored_remainder(x, y)",
        np.remainder,
        f16_in_f32=True,
        by_dtype={"i32": "floored_remainder_i32(x, y)", "u32": "remainder_u32(x, y)"},
        operands=samples.with_specials,
        smooth=samples.with_remainder,
        gradient=(lambda g, _out, _x, _y: g, _gradient_of_divisor),
        aliases=("mod",),
    )
)
mod = remainder
fmod = define_binary(
    Row(
        "fmod",
        "truncated_remainder(x, y)",
        np.fmod,
        ulps=0,
        f16_in_f32=True,
        by_dtype={"i32": "truncated_remainder_i32(x, y)", "u32": "remainder_u32(x, y)"},
        operands=samples.with_specials,
        smooth=samples.with_remainder,
        gradient=(lambda g, _out, _x, _y: g, _gradient_of_truncated_divisor),
    )
)
