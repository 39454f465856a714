"""Operations on bits, which for bools are those of logic."""

import numpy as np

from rusty_py.ops.elementwise import Row, define_binary, define_unary

bitwise_and = define_binary(Row("bitwise_and", "x & y", np.bitwise_and, "iub", mirror="bitwise_and"))
bitwise_or = define_binary(Row("bitwise_or", "x | y", np.bitwise_or, "iub", mirror="bitwise_or"))
bitwise_xor = define_binary(Row("bitwise_xor", "x ^ y", np.bitwise_xor, "iub", mirror="bitwise_xor"))
bitwise_invert = define_unary(
    Row("bitwise_invert", "~x", np.bitwise_invert, "iub", by_dtype={"bool": "1u - x"})
)
