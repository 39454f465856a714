"""Signs, and the neighbours of floats, by the bits."""

import numpy as np

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row
from rusty_py.ops.where import where


def _gradient_of_copysign(g: Array, out: Array, x: Array, _y: Array) -> Array:
    return where(signbit(out) == signbit(x), g, -g)


positive = define_unary(Row("positive", "x", np.positive, ulps=0, gradient=(lambda g, _out, _x: g,)))
sign = define_unary(
    Row(
        "sign",
        "sign_of(x)",
        np.sign,
        ulps=0,
        f16_in_f32=True,
        by_dtype={"i32": "sign(x)", "u32": "min(x, 1u)"},
        operands=samples.with_specials,
        gradient=(None,),
    )
)
signbit = define_unary(
    Row(
        "signbit",
        "sign_bit(x)",
        np.signbit,
        "f",
        truth=True,
        f16_in_f32=True,
        operands=samples.with_specials,
    )
)
copysign = define_binary(
    Row(
        "copysign",
        "copy_sign(x, y)",
        np.copysign,
        "f",
        ulps=0,
        f16_in_f32=True,
        operands=samples.with_specials,
        gradient=(_gradient_of_copysign, None),
    )
)
nextafter = define_binary(
    Row(
        "nextafter",
        "next_after(x, y)",
        np.nextafter,
        "f",
        ulps=0,
        by_dtype={"f16": "f16(next_after_half(f32(x), f32(y)))"},
        operands=samples.with_specials,
        gradient=(lambda g, _out, _x, _y: g, None),
    )
)
