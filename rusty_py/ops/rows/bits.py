"""Operations on bits, which for bools are those of logic, and shifts."""

import numpy as np

from rusty_py import samples
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row

bitwise_and = define_binary(Row("bitwise_and", "x & y", np.bitwise_and, "iub", mirror="bitwise_and"))
bitwise_or = define_binary(Row("bitwise_or", "x | y", np.bitwise_or, "iub", mirror="bitwise_or"))
bitwise_xor = define_binary(Row("bitwise_xor", "x ^ y", np.bitwise_xor, "iub", mirror="bitwise_xor"))
bitwise_invert = define_unary(
    Row(
        "bitwise_invert",
        "~x",
        np.bitwise_invert,
        "iub",
        by_dtype={"bool": "1u - x"},
        aliases=("bitwise_not", "invert"),
    )
)
bitwise_not = invert = bitwise_invert
bitwise_left_shift = define_binary(
    Row(
        "bitwise_left_shift",
        "shifted_left(x, y)",
        np.left_shift,
        "iu",
        by_dtype={"i32": "shifted_left_i32(x, y)"},
        operands=samples.shifts,
        aliases=("left_shift",),
    )
)
left_shift = bitwise_left_shift
bitwise_right_shift = define_binary(
    Row(
        "bitwise_right_shift",
        "shifted_right(x, y)",
        np.right_shift,
        "iu",
        by_dtype={"i32": "shifted_right_i32(x, y)"},
        operands=samples.shifts,
        aliases=("right_shift",),
    )
)
right_shift = bitwise_right_shift
