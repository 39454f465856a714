"""Rounding to integers, which integers are already, and to an interval."""

from typing import Any

import numpy as np

from rusty_py import samples
from rusty_py.ops.elementwise import define_unary
from rusty_py.ops.row import Row

_OF_INTEGERS = {"i32": "x", "u32": "x"}


def _rounding(name: str, wgsl: str, numpy: np.ufunc, **more: Any) -> Row:
    """Its gradient is zero wherever there is one."""
    return Row(
        name,
        wgsl,
        numpy,
        ulps=0,
        by_dtype=_OF_INTEGERS,
        integers=np.positive,
        operands=samples.with_specials,
        smooth=samples.between_integers,
        gradient=(None,),
        **more,
    )


ceil = define_unary(_rounding("ceil", "ceil(x)", np.ceil))
floor = define_unary(_rounding("floor", "floor(x)", np.floor))
trunc = define_unary(_rounding("trunc", "trunc(x)", np.trunc))
round = define_unary(_rounding("round", "round(x)", np.rint, aliases=("rint",)))
rint = round
