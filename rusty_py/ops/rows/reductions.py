"""Reductions, a row each: a monoid as WGSL of accumulators `a` and `b`, and its identity."""

from math import nan

import numpy as np

from rusty_py import oracle, samples
from rusty_py.dtypes import BOOL, I32
from rusty_py.ops.reduce import bounds, gradients
from rusty_py.ops.reduce.monoid import Accumulator, Monoid
from rusty_py.ops.reduce.operations import define_accumulation, define_reduction
from rusty_py.ops.reduce.reduction import Reduction

_STEPS = "the result is constant between jumps"

_LARGEST = Monoid(
    {"f32": "select(select(max(a, b), b, is_nan(b)), a, is_nan(a))", "": "max(a, b)"},
    {"f": "-infinity()", "i": "-2147483647 - 1", "": "0"},
)
_SMALLEST = Monoid(
    {"f32": "select(select(min(a, b), b, is_nan(b)), a, is_nan(a))", "": "min(a, b)"},
    {"f": "infinity()", "i": "2147483647", "u": "4294967295u", "": "1"},
)


def _extreme(f32: str, i32: str, others: str) -> Monoid:
    """Keys, of which the largest is found, and the first index of that."""
    return Monoid(
        {"": "extreme_of(a, b)"},
        {"": "Extreme(0u, NO_INDEX)"},
        Accumulator("Extreme", ("key", "index")),
        value={"f32": f32, "i32": i32, "": others},
        value_type="u32",
        one="Extreme(x, uniforms.first + i)",
        append="extreme_then(a, b)",
        four="extreme_of_four(x, uniforms.first + i, step)",
        finish="x.index",
    )


def _truths(combine: str, identity: str, kind: str = "u32") -> Monoid:
    """Of 1 for elements other than zero, NaN among them, and 0."""
    value = {"f32": f"{kind}(is_not_zero(x))", "": f"{kind}(x != 0)"}
    return Monoid({"": combine}, {"": identity}, value=value, value_type=kind)


# Numbers.

sum = define_accumulation(
    Reduction(
        "sum",
        np.sum,
        Monoid({"": "a + b"}, {"f": "0.0", "": "0"}),
        widens_bool=True,
        of_nothing=0,
        bound=oracle.sum,
        gradient=gradients.of_sum,
    )
)
mean = define_reduction(
    Reduction(
        "mean",
        np.mean,
        Monoid({"": "a + b"}, {"": "0.0"}, finish="x / number"),
        "f",
        of_nothing=nan,
        number=lambda count: count,
        bound=bounds.mean,
        gradient=gradients.of_mean,
    )
)
prod = define_accumulation(
    Reduction(
        "prod",
        np.prod,
        Monoid({"": "a * b"}, {"f": "1.0", "": "1"}),
        widens_bool=True,
        of_nothing=1,
        bound=bounds.product,
        operands=samples.factors,
        gradient=gradients.of_prod,
        smooth=samples.factors,
    )
)
max = define_reduction(
    Reduction("max", np.max, _LARGEST, operands=samples.with_specials, gradient=gradients.of_extreme)
)
min = define_reduction(
    Reduction("min", np.min, _SMALLEST, operands=samples.with_specials, gradient=gradients.of_extreme)
)

# Indices.

argmax = define_reduction(
    Reduction(
        "argmax",
        np.argmax,
        _extreme("key_of_largest(x)", "bitcast<u32>(x) ^ 0x80000000u", "x"),
        gives=I32,
        ordered=True,
        operands=samples.with_specials,
        gradient=_STEPS,
    )
)
argmin = define_reduction(
    Reduction(
        "argmin",
        np.argmin,
        _extreme("key_of_smallest(x)", "bitcast<u32>(x) ^ 0x7fffffffu", "~x"),
        gives=I32,
        ordered=True,
        operands=samples.with_specials,
        gradient=_STEPS,
    )
)

# Truth.

any = define_reduction(
    Reduction(
        "any",
        np.any,
        _truths("a | b", "0"),
        gives=BOOL,
        of_nothing=0,
        operands=samples.mostly_zeros,
        gradient=_STEPS,
    )
)
all = define_reduction(
    Reduction(
        "all",
        np.all,
        _truths("a & b", "1"),
        gives=BOOL,
        of_nothing=1,
        operands=samples.with_zeros,
        gradient=_STEPS,
    )
)
count_nonzero = define_reduction(
    Reduction(
        "count_nonzero",
        np.count_nonzero,
        _truths("a + b", "0", "i32"),
        gives=I32,
        of_nothing=0,
        operands=samples.mostly_zeros,
        gradient=_STEPS,
    )
)
