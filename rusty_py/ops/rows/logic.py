"""Logic of any dtype, in which all but zero is true, NaN included."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import define_binary, define_unary
from rusty_py.ops.row import Row

Binary = Callable[[Array | ArrayLike, Array | ArrayLike], Array]


def _row(name: str, wgsl: str, numpy: np.ufunc) -> Row:
    """`wgsl` is of u and v, the operands' truth."""
    truths = {"f32": "is_not_zero({})", "i32": "({} != 0)", "u32": "({} != 0u)", "bool": "({} != 0u)"}
    of = {kind: wgsl.format(x=truth.format("x"), y=truth.format("y")) for kind, truth in truths.items()}
    return Row(
        name,
        of["f32"],
        numpy,
        "fiub",
        truth=True,
        mirror=name,
        f16_in_f32=True,
        by_dtype={kind: expression for kind, expression in of.items() if kind != "f32"},
        operands=samples.with_specials,
    )


logical_and = define_binary(_row("logical_and", "{x} && {y}", np.logical_and))
logical_or = define_binary(_row("logical_or", "{x} || {y}", np.logical_or))
logical_xor = define_binary(_row("logical_xor", "{x} != {y}", np.logical_xor))
logical_not = define_unary(_row("logical_not", "!{x}", np.logical_not))
