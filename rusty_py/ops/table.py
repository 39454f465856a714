"""Elementwise operations, a row each: what WGSL computes, for which dtypes, and NumPy's word for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rusty_py.device import Device
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype
from rusty_py.errors import LimitError
from rusty_py.shapes import ceil_div

THREADS = 256


# Loop steps of an element at most: its axes, or a power's bits.
_STEPS = 40


def groups_for(device: Device, count: int, *, operation: str, steps: int = _STEPS) -> int:
    """Workgroups for `count` results of `steps` loop steps each, of which a thread may have to do several.

    Raises LimitError where that is more than the device's loops can.
    """
    groups = min(ceil_div(count, THREADS), device.limits.groups)
    if ceil_div(count, groups * THREADS) * steps > device.limits.loop_steps:
        raise LimitError(
            f"{operation}: {count} elements are more than {device.adapter} computes at once: {groups} groups"
            f" of {THREADS}, {device.limits.loop_steps} steps each; compute in parts"
        )
    return groups


# C's pow (C17, F.10.4.4): special cases by the bits, which fast math leaves alone, and |x| ** y for the rest.
# Whole exponents by squaring, with up to `exponent` roundings; WGSL's pow for the fraction that is left.
# Subnormal bases count as zeros. 2^31 stands for all larger exponents: by then every result is 0 or infinite.
_FLOAT_POWER = """
const ONE: u32 = 0x3f800000u;
const INFINITE: u32 = 0x7f800000u;
fn from_bits(bits: u32) -> f32 {
    var at_run_time = bits;  // The compiler refuses constants that are no finite number.
    return bitcast<f32>(at_run_time);
}
fn whole_power(base: f32, exponent: u32) -> f32 {
    var product = 1.0;
    var square = base;
    for (var rest = exponent; rest > 0u; rest >>= 1u) {
        if ((rest & 1u) == 1u) {
            product *= square;
        }
        square *= square;
    }
    return product;
}
fn positive_power(x: f32, y: f32, whole: f32, part: f32) -> f32 {
    // Of the two ways to a negative exponent, the one whose steps do not overflow before the result does.
    let inverts = y < 0.0 && x < 1.0;
    let base = select(x, 1.0 / x, inverts);
    var product = whole_power(base, u32(min(whole, 2147483648.0)));
    if (part > 0.0) {
        product *= pow(base, part);
    }
    return select(product, 1.0 / product, y < 0.0 && !inverts);
}
fn power(x: f32, y: f32) -> f32 {
    let x_bits = bitcast<u32>(x);
    let y_bits = bitcast<u32>(y);
    let size = x_bits & 0x7fffffffu;
    let exponent = y_bits & 0x7fffffffu;
    let inverse = y_bits >> 31u == 1u;
    if (exponent == 0u || x_bits == ONE) {
        return 1.0;
    }
    if (size > INFINITE || exponent > INFINITE) {
        return from_bits(0x7fc00000u);
    }
    if (exponent == INFINITE) {
        let infinite = select(0.0, from_bits(INFINITE), (size > ONE) != inverse);
        return select(infinite, 1.0, size == ONE);
    }
    let whole = trunc(abs(y));
    let part = abs(y) - whole;
    let odd = part == 0.0 && exponent < 0x4b800000u && (u32(whole) & 1u) == 1u;
    let sign = select(0u, x_bits & 0x80000000u, odd);
    if (size < 0x00800000u || size == INFINITE) {
        return from_bits(sign | select(0u, INFINITE, (size == INFINITE) != inverse));
    }
    // By its bits, too: GPUs may compare a subnormal exponent as zero.
    if (x_bits != size && (part > 0.0 || exponent < ONE)) {
        return from_bits(0x7fc00000u);
    }
    return bitcast<f32>(sign | bitcast<u32>(positive_power(bitcast<f32>(size), y, whole, part)));
}
"""

_U32_POWER = """
fn power(x: u32, y: u32) -> u32 {
    var product = 1u;
    var square = x;
    for (var rest = y; rest > 0u; rest >>= 1u) {
        if ((rest & 1u) == 1u) {
            product *= square;
        }
        square *= square;
    }
    return product;
}
"""

# Of negative exponents, the whole part of the quotient: 0 but for 1 and -1.
_I32_POWER = """
fn power(x: i32, y: i32) -> i32 {
    if (y < 0) {
        if (x == 1 || (x == -1 && (y & 1) == 0)) {
            return 1;
        }
        return select(0, -1, x == -1);
    }
    var product = 1;
    var square = x;
    for (var rest = y; rest > 0; rest >>= 1u) {
        if ((rest & 1) == 1) {
            product *= square;
        }
        square *= square;
    }
    return product;
}
"""


@dataclass(frozen=True, eq=False)
class Row:
    """`wgsl` is an expression of x and y; `kinds` are NumPy's letters of the dtypes it is for.

    `by_dtype` has other expressions for single dtypes, `helpers` functions to append. `truth`: the result is
    a bool. `mirror` is the operation that gives the same with its operands exchanged. `ulps` is how far, in
    units of eps, WGSL lets an adapter be from the true result.
    """

    name: str
    wgsl: str
    oracle: Callable[..., object]
    kinds: str = "fiu"
    truth: bool = False
    mirror: str = ""
    ulps: float = 0.5
    by_dtype: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for operands of `dtype`."""
        return BOOL if self.truth else dtype

    def body(self, dtype: Dtype) -> str:
        """The expression for operands of `dtype`, of the type that a buffer holds."""
        expression = self.by_dtype.get(dtype.name, self.wgsl)
        return f"select(0u, 1u, {expression})" if self.truth else expression


BINARY = {
    row.name: row
    for row in (
        Row("add", "x + y", np.add, mirror="add"),
        Row("subtract", "x - y", np.subtract),
        Row("multiply", "x * y", np.multiply, mirror="multiply"),
        Row("divide", "x / y", np.divide, kinds="f", ulps=2.5),
        Row(
            "power",
            "power(x, y)",
            np.power,
            by_dtype={"f16": "f16(power(f32(x), f32(y)))"},
            helpers={"f32": _FLOAT_POWER, "f16": _FLOAT_POWER, "i32": _I32_POWER, "u32": _U32_POWER},
        ),
        Row("bitwise_and", "x & y", np.bitwise_and, "iub", mirror="bitwise_and"),
        Row("bitwise_or", "x | y", np.bitwise_or, "iub", mirror="bitwise_or"),
        Row("bitwise_xor", "x ^ y", np.bitwise_xor, "iub", mirror="bitwise_xor"),
        Row("equal", "x == y", np.equal, "fiub", truth=True, mirror="equal"),
        # Not x != y, which naga makes false for NaN.
        Row("not_equal", "!(x == y)", np.not_equal, "fiub", truth=True, mirror="not_equal"),
        Row("less", "x < y", np.less, "fiub", truth=True, mirror="greater"),
        Row("less_equal", "x <= y", np.less_equal, "fiub", truth=True, mirror="greater_equal"),
        Row("greater", "x > y", np.greater, "fiub", truth=True, mirror="less"),
        Row("greater_equal", "x >= y", np.greater_equal, "fiub", truth=True, mirror="less_equal"),
    )
}

UNARY = {
    row.name: row
    for row in (
        Row("negative", "-x", np.negative, by_dtype={"u32": "0u - x"}),
        Row("absolute", "abs(x)", np.absolute, by_dtype={"u32": "x"}),
        Row("bitwise_invert", "~x", np.bitwise_invert, "iub", by_dtype={"bool": "1u - x"}),
    )
}

# Words are copied as they are, whatever they mean.
_NUMBER = {"f32": "bitcast<f32>(word)", "f16": "f16(bitcast<f32>(word))", "i32": "bitcast<i32>(word)"}

# Floats beyond an integer's range become its ends, on every device; NaN becomes anything.
_CASTS: dict[Dtype, str | dict[str, str]] = {
    F32: "f32(x)",
    F16: "f16(f32(x))",
    I32: {"f": "i32(clamp(f32(x), -2147483648.0, 2147483520.0))", "": "i32(x)"},
    U32: {"f": "u32(clamp(f32(x), 0.0, 4294967040.0))", "": "u32(x)"},
    BOOL: "select(1u, 0u, x == elem(0))",
}


def types(elem: str, result: str) -> str:
    """The two types that a kernel's text leaves open."""
    return f"alias elem = {elem};\nalias result = {result};\n"


def binary_text(row: Row, dtype: Dtype) -> str:
    """Definitions for two arrays."""
    apply = f"fn apply(x: elem, y: elem) -> result {{ return {row.body(dtype)}; }}\n"
    return types(dtype.wgsl, row.result(dtype).wgsl) + row.helpers.get(dtype.name, "") + apply


def number_text(row: Row, dtype: Dtype, *, number_first: bool) -> str:
    """Definitions for an array and a number."""
    order = "number(word), x" if number_first else "x, number(word)"
    return (
        types(dtype.wgsl, row.result(dtype).wgsl)
        + row.helpers.get(dtype.name, "")
        + f"fn number(word: u32) -> elem {{ return {_NUMBER.get(dtype.wgsl, 'word')}; }}\n"
        + f"fn combine(x: elem, y: elem) -> result {{ return {row.body(dtype)}; }}\n"
        + f"fn apply(x: elem, word: u32) -> result {{ return combine({order}); }}\n"
    )


def unary_text(row: Row, dtype: Dtype) -> str:
    """Definitions for one array."""
    apply = f"fn apply(x: elem, word: u32) -> result {{ return {row.body(dtype)}; }}\n"
    return types(dtype.wgsl, row.result(dtype).wgsl) + apply


def cast_text(source: Dtype, target: Dtype) -> str:
    """Definitions for copies that change the dtype, or only the place."""
    if source is target:
        word = "f16" if source is F16 else "u32"
        return types(word, word) + "fn apply(x: elem, word: u32) -> result { return x; }\n"
    cast = _CASTS[target]
    expression = cast if isinstance(cast, str) else cast.get(source.kind, cast[""])
    return (
        types(source.wgsl, target.wgsl)
        + f"fn apply(x: elem, word: u32) -> result {{ return {expression}; }}\n"
    )
