// power(x, y) = x^y with the special cases of C's pow (C17, F.10.4.4), decided by the bits, which fast math leaves alone.
// Integer exponents up to 32 multiply, with up to 32 roundings; others, and subnormal bases, go through the logarithm.

const POWER_MAX_PRODUCTS: f32 = 32.0;
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

// 2^(y log2(x)) for finite x > 0. log2(x) and its product with y are sums of a part with exact products and the rest: in
// one f32, y log2(x) would have an error of 2^-17, and so would the result. log(1 + f) = 2 s + s^3 P(s^2), s = f / (2 + f).
fn power_by_log(x: f32, y: f32) -> f32 {
    let parts = log_parts(x);
    let divisor = 2.0 + parts.f;
    let divisor_head = leading_bits(divisor);
    let s = parts.f / divisor;
    let s_head = leading_bits(s);
    let remainder = (parts.f - s_head * divisor_head) - s_head * (parts.f - (divisor_head - 2.0));
    let square = s * s;
    let series = s * square * (0.66666776 + square * (0.39977527 + square * 0.29872152));
    // 2 / log(2) = 2.8847656 + 0.00062445680
    let high = s_head * 2.8847656;
    let low = s_head * 0.0006244568 + (2.0 * (remainder / divisor) + series) * 1.442695;
    let log_head = leading_bits(parts.k + (high + low));
    let log_tail = ((parts.k - log_head) + high) + low;
    let exponent = clamp(y, -1.7e10, 1.7e10); // Beyond, every power but that of 1 is 0 or infinite.
    let exponent_head = leading_bits(exponent);
    let product = exponent_head * log_head;
    let rest = (exponent - exponent_head) * log_head + exponent * log_tail;
    let n = round(clamp(product + rest, -160.0, 140.0));
    return times_power_of_two(exp2_fraction(clamp((product - n) + rest, -0.51, 0.51)), i32(n));
}

fn positive_power(x: f32, y: f32, whole: f32, part: f32) -> f32 {
    if (part == 0.0 && whole <= POWER_MAX_PRODUCTS && bitcast<u32>(x) >= 0x00800000u) {
        let product = whole_power(x, u32(whole));
        let inverts = y < 0.0;
        if (!inverts || (product > 1.0e-37 && product < 1.0e37)) {
            return select(product, 1.0 / product, inverts);
        }
    }
    return power_by_log(x, y);
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
    if (size == 0u || size == POWER_INFINITE) {
        return from_bits(sign | select(0u, POWER_INFINITE, (size == POWER_INFINITE) != inverse));
    }
    // By its bits, too: GPUs may compare a subnormal exponent as zero.
    if (x_bits != size && (part > 0.0 || exponent < POWER_ONE)) {
        return nan();
    }
    return bitcast<f32>(sign | bitcast<u32>(positive_power(bitcast<f32>(size), y, whole, part)));
}
