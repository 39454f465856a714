"""Reductions, a row each: a monoid as WGSL of `a` and `b`, and its identity."""

import numpy as np

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.ops.elementwise import where
from rusty_py.ops.reduce import Reduction, define_accumulation, define_reduction
from rusty_py.ops.views import broadcast_to
from rusty_py.views import Shape


def _to_winners(g: Array, out: Array, x: Array, *, axes: Shape) -> Array:
    """The gradient to the elements that are the result, in equal parts."""
    wins = x == out
    return where(wins, g / sum(wins, axes, dtype=x.dtype, keepdims=True), 0.0)


sum = define_accumulation(
    Reduction(
        "sum",
        np.sum,
        "a + b",
        {"f": "0.0", "": "0"},
        widens_bool=True,
        of_nothing=0,
        bound=oracle.sum,
        gradient=lambda g, _out, _x, axes: broadcast_to(g, _x.shape),
    )
)
max = define_reduction(
    Reduction(
        "max",
        np.max,
        "select(select(max(a, b), b, is_nan(b)), a, is_nan(a))",
        {"f": "-infinity()", "i": "-2147483647 - 1", "": "0"},
        by_dtype={"i32": "max(a, b)", "u32": "max(a, b)", "bool": "max(a, b)"},
        operands=samples.with_specials,
        gradient=_to_winners,
    )
)
min = define_reduction(
    Reduction(
        "min",
        np.min,
        "select(select(min(a, b), b, is_nan(b)), a, is_nan(a))",
        {"f": "infinity()", "i": "2147483647", "u": "4294967295u", "": "1"},
        by_dtype={"i32": "min(a, b)", "u32": "min(a, b)", "bool": "min(a, b)"},
        operands=samples.with_specials,
        gradient=_to_winners,
    )
)
