"""Reductions, a row each: a monoid as WGSL of `a` and `b`, and its identity."""

import numpy as np

from rusty_py import oracle, samples
from rusty_py.ops.reduce import Reduction, define_accumulation, define_reduction

sum = define_accumulation(
    Reduction(
        "sum",
        np.sum,
        "a + b",
        {"f": "0.0", "": "0"},
        widens_bool=True,
        of_nothing=0,
        bound=oracle.sum,
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
    )
)
