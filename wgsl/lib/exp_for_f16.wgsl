// Functions made of exponentials, for operands and results in f16: by WGSL's exp and exp2, whose errors of 3 + 2 |x| units
// of f32 f16 does not show. Where a difference would cancel, a short polynomial. All within 2^-16. Results beyond f16 are
// infinite once they are stored.

fn exp_for_f16(x: f32) -> f32 {
    return select(exp(clamp(x, -30.0, 30.0)), x, is_nan(x));
}

fn exp2_for_f16(x: f32) -> f32 {
    return select(exp2(clamp(x, -40.0, 40.0)), x, is_nan(x));
}

fn expm1_for_f16(x: f32) -> f32 {
    let near = x * (1.0 + x * (0.5 + x * 0.16666667));
    return select(select(exp(clamp(x, -30.0, 30.0)) - 1.0, near, abs(x) < 0.06), x, is_nan(x));
}

fn sinh_for_f16(x: f32) -> f32 {
    let e = exp(min(abs(x), 30.0));
    let size = select(0.5 * (e - 1.0 / e), abs(x) * (1.0 + x * x * 0.16666667), abs(x) < 0.18);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn cosh_for_f16(x: f32) -> f32 {
    let e = exp(min(abs(x), 30.0));
    return select(0.5 * (e + 1.0 / e), x, is_nan(x));
}

fn tanh_for_f16(x: f32) -> f32 {
    let e = exp(-2.0 * min(abs(x), 10.0));
    let size = select((1.0 - e) / (1.0 + e), abs(x) * (1.0 - x * x * 0.33333334), abs(x) < 0.09);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn logaddexp_for_f16(x: f32, y: f32) -> f32 {
    let a = max(x, y);
    let e = exp(-min(abs(x - y), 30.0));
    let sum = a + short_log(1.0 + e, e);
    return select(select(sum, a, is_infinite(a)), nan(), is_nan(x) || is_nan(y));
}
