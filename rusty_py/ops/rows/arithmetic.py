"""Sums, products, quotients, powers, and the larger and smaller of two."""

import numpy as np

from rusty_py import oracle, samples
from rusty_py.ops.elementwise import Row, define_binary, define_unary

add = define_binary(Row("add", "x + y", np.add, mirror="add"))
subtract = define_binary(Row("subtract", "x - y", np.subtract))
multiply = define_binary(Row("multiply", "x * y", np.multiply, mirror="multiply"))
divide = define_binary(Row("divide", "x / y", np.divide, "f", ulps=2.5))
power = define_binary(
    Row(
        "power",
        "power(x, y)",
        np.power,
        bound=oracle.power,
        integers=oracle.integer_power,
        f16_in_f32=True,
        by_dtype={"i32": "power_i32(x, y)", "u32": "power_u32(x, y)"},
        operands=samples.powers,
    )
)
negative = define_unary(Row("negative", "-x", np.negative, ulps=0, by_dtype={"u32": "0u - x"}))
absolute = define_unary(Row("absolute", "abs(x)", np.absolute, ulps=0, by_dtype={"u32": "x"}))
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
    )
)
