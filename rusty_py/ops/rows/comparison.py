"""Comparisons, and tests of numbers. `!(x == y)`, because naga makes x != y false for NaN."""

import numpy as np

from rusty_py import samples
from rusty_py.ops.elementwise import Row, define_binary, define_unary

equal = define_binary(Row("equal", "x == y", np.equal, "fiub", truth=True, mirror="equal"))
not_equal = define_binary(Row("not_equal", "!(x == y)", np.not_equal, "fiub", truth=True, mirror="not_equal"))
less = define_binary(Row("less", "x < y", np.less, "fiub", truth=True, mirror="greater"))
less_equal = define_binary(
    Row("less_equal", "x <= y", np.less_equal, "fiub", truth=True, mirror="greater_equal")
)
greater = define_binary(Row("greater", "x > y", np.greater, "fiub", truth=True, mirror="less"))
greater_equal = define_binary(
    Row("greater_equal", "x >= y", np.greater_equal, "fiub", truth=True, mirror="less_equal")
)
isnan = define_unary(
    Row(
        "isnan",
        "is_nan(x)",
        np.isnan,
        "f",
        truth=True,
        f16_in_f32=True,
        operands=samples.with_specials,
    )
)
