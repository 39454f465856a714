// e^x = 2^k e^r with k = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is split in two, the first part short enough for exact
// products with k (Cody and Waite 1980). Minimax polynomial of e^r - 1, within 2^-25.

struct ExpParts {
    k: i32,
    less_one: f32, // e^r - 1
}

fn exp_parts(x: f32) -> ExpParts {
    let k = round(x * 1.442695);
    let r = (x - k * 0.69314575) - k * 1.4286068e-6;
    let series = 0.49999997 + r * (0.16666543 + r * (0.041667204 + r * (0.008366615 + r * 0.0013882504)));
    return ExpParts(i32(k), r + r * r * series);
}

// x 2^n for 0.5 < x < 2, by the bits: infinite from 2^128 on. Below 2^-126 the device may flush it to zero.
fn times_power_of_two(x: f32, n: i32) -> f32 {
    let small = n < -100;
    let bits = bitcast<u32>(x) + (u32(n + select(0, 60, small)) << 23u);
    return from_bits(min(bits, 0x7f800000u)) * select(1.0, 8.6736174e-19, small);
}

// e^x 2^shift, which may be finite where e^x is not.
fn exp_scaled(x: f32, shift: i32) -> f32 {
    let parts = exp_parts(clamp(x, -110.0, 100.0));
    return select(times_power_of_two(1.0 + parts.less_one, parts.k + shift), x, is_nan(x));
}

// e^x 2^shift for x >= 0 and a small shift: nothing is subnormal.
fn exp_of_size(x: f32, shift: i32) -> f32 {
    let parts = exp_parts(min(x, 100.0));
    let bits = bitcast<u32>(1.0 + parts.less_one) + (u32(parts.k + shift) << 23u);
    return from_bits(min(bits, 0x7f800000u));
}

fn accurate_exp(x: f32) -> f32 {
    return exp_scaled(x, 0);
}
