// The error function, which WGSL lacks: below 0.9 x E(x^2), beyond 1 - 2^-G(x), both minimax polynomials within 2^-24 of
// the result. WGSL's exp2 is off by 3 + 2 G(x) units, of which at most 2.0 remain in 1 - 2^-G(x). erfc(x) =
// e^(-x^2) R(x) from 1/2 on, with x^2 in two parts, the first exact, and R by a polynomial of (x - 3) / (x + 3) within 2^-23.

fn erf_near(x: f32) -> f32 {
    let s = x * x;
    let high = -0.026778944 + s * (0.005012004 - s * 0.00060905435);
    return x * (1.1283791 + s * (-0.37612525 + s * (0.11282142 + s * high)));
}

fn erf(x: f32) -> f32 {
    let t = min(abs(x), 4.0);
    let high = 0.13175154 + t * (-0.022582132 + t * 0.0018198359);
    let exponent = 0.0026288528 + t * (1.6163929 + t * (0.9384057 + t * high));
    let size = select(1.0 - exp2(-exponent), erf_near(abs(x)), t < 0.9);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn erfc(x: f32) -> f32 {
    let t = min(abs(x), 11.0);
    let q = (t - 3.0) / (t + 3.0);
    let high = -0.119226955 + q * (0.06841583 + q * (-0.024003759 + q * (0.0020475676 + q * 0.0022219138)));
    let series = 1.2530081 + q * (-0.13562085 + q * (-0.0475652 + q * (0.12963551 + q * high)));
    let leading = leading_bits(t);
    let rest = 1.0 + exp_parts(-(t - leading) * (t + leading)).less_one; // Above -0.1: k is 0.
    let tail = accurate_exp(-leading * leading) * (rest * series / (1.0 + 2.0 * t));
    let far = select(tail, 2.0 - tail, bitcast<u32>(x) >> 31u == 1u);
    return select(select(far, 1.0 - erf_near(x), t < 0.5), x, is_nan(x));
}
