"""Comparisons, and tests of numbers. `!(x == y)`, because naga makes x != y false for NaN."""

from collections.abc import Mapping

import numpy as np

from rusty_py import samples
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row

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
_NEVER, _ALWAYS = {"i32": "false", "u32": "false"}, {"i32": "true", "u32": "true"}


def _test(name: str, wgsl: str, numpy: np.ufunc, of_integers: Mapping[str, str]) -> Row:
    return Row(
        name,
        wgsl,
        numpy,
        truth=True,
        f16_in_f32=True,
        by_dtype=of_integers,
        operands=samples.with_specials,
    )


isnan = define_unary(_test("isnan", "is_nan(x)", np.isnan, _NEVER))
isinf = define_unary(_test("isinf", "is_infinite(x)", np.isinf, _NEVER))
isfinite = define_unary(_test("isfinite", "is_finite(x)", np.isfinite, _ALWAYS))
