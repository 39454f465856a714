"""Elementwise operations and reductions, a row each: WGSL, NumPy's function, how exact, which dtypes.

A row is all there is to say. The public name, NumPy's protocols, the kernels for every layout, and the tests
on the device and of the Metal text follow from it.
"""

import numpy as np

from rusty_py import oracle, samples
from rusty_py.ops.elementwise import Row, define_binary, define_unary
from rusty_py.ops.reduce import Reduction, define_accumulation, define_reduction

# C's pow (C17, F.10.4.4): special cases by the bits, which fast math leaves alone, and |x| ** y for the rest.
# Whole exponents by squaring, with up to `exponent` roundings; WGSL's pow for the fraction that is left.
# Subnormal bases count as zeros. 2^31 stands for all larger exponents: by then every result is 0 or infinite.
_POWER = """
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

_POWER_U32 = """
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
_POWER_I32 = """
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


# By the bits, which fast math leaves alone.
_IS_NAN = """
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
"""

# A variable, because the compiler refuses constants that are no finite number.
_INFINITY = """
fn infinity() -> f32 {
    var bits = 0x7f800000u;
    return bitcast<f32>(bits);
}
"""

# WGSL's own loses its relative accuracy near 0, and some drivers' overflow.
_TANH = """
fn accurate_tanh(x: f32) -> f32 {
    let s = x * x;
    let series = -0.33333281 + s * (0.13331431 + s * (-0.05373916 + s * (0.02063786 - s * 0.00570404)));
    let e = exp(-2.0 * abs(x));
    let size = (1.0 - e) / (1.0 + e);
    let far = bitcast<f32>(bitcast<u32>(size) | (bitcast<u32>(x) & 0x80000000u));
    return select(far, x + x * s * series, abs(x) < 0.625);
}
"""

# Arithmetic.

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
        helpers={"f32": _POWER, "i32": _POWER_I32, "u32": _POWER_U32},
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
        helpers={"f32": _IS_NAN},
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
        helpers={"f32": _IS_NAN},
        operands=samples.with_specials,
    )
)

# Functions. WGSL's exp is off by 3 + 2 |x| units (specification, "Accuracy of concrete floating point
# expressions"); tanh multiplies that of its exp by 0.63 at most, and a quotient and two sums follow.

exp = define_unary(Row("exp", "exp(x)", np.exp, "f", ulps=lambda x: 3 + 2 * np.abs(x), f16_in_f32=True))
tanh = define_unary(
    Row("tanh", "accurate_tanh(x)", np.tanh, "f", ulps=8, f16_in_f32=True, helpers={"f32": _TANH})
)

# Bits, and masks.

bitwise_and = define_binary(Row("bitwise_and", "x & y", np.bitwise_and, "iub", mirror="bitwise_and"))
bitwise_or = define_binary(Row("bitwise_or", "x | y", np.bitwise_or, "iub", mirror="bitwise_or"))
bitwise_xor = define_binary(Row("bitwise_xor", "x ^ y", np.bitwise_xor, "iub", mirror="bitwise_xor"))
bitwise_invert = define_unary(
    Row("bitwise_invert", "~x", np.bitwise_invert, "iub", by_dtype={"bool": "1u - x"})
)

# Comparisons. Not x != y, which naga makes false for NaN.

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
        helpers={"f32": _IS_NAN},
        operands=samples.with_specials,
    )
)

# Reductions.

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
        helpers={"f32": _IS_NAN + _INFINITY},
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
        helpers={"f32": _IS_NAN + _INFINITY},
        operands=samples.with_specials,
    )
)
