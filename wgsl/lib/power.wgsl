// power(x, y) = x^y with the special cases of C's pow (C17, F.10.4.4), decided by the bits, which fast math leaves
// alone, and |x|^y otherwise: integer exponents by squaring, with up to `exponent` roundings, and WGSL's pow for the
// fraction that remains. Subnormal bases count as zeros. 2^31 replaces all larger exponents: the result is then 0 or
// infinite.

const POWER_ONE: u32 = 0x3f800000u;
const POWER_INFINITE: u32 = 0x7f800000u;

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
    if (exponent == 0u || x_bits == POWER_ONE) {
        return 1.0;
    }
    if (size > POWER_INFINITE || exponent > POWER_INFINITE) {
        return nan();
    }
    if (exponent == POWER_INFINITE) {
        let infinite = select(0.0, infinity(), (size > POWER_ONE) != inverse);
        return select(infinite, 1.0, size == POWER_ONE);
    }
    let whole = trunc(abs(y));
    let part = abs(y) - whole;
    let odd = part == 0.0 && exponent < 0x4b800000u && (u32(whole) & 1u) == 1u;
    let sign = select(0u, x_bits & 0x80000000u, odd);
    if (size < 0x00800000u || size == POWER_INFINITE) {
        return from_bits(sign | select(0u, POWER_INFINITE, (size == POWER_INFINITE) != inverse));
    }
    // By its bits, too: GPUs may compare a subnormal exponent as zero.
    if (x_bits != size && (part > 0.0 || exponent < POWER_ONE)) {
        return nan();
    }
    return bitcast<f32>(sign | bitcast<u32>(positive_power(bitcast<f32>(size), y, whole, part)));
}
