// Logarithms of numbers of f16, none of which is subnormal in f32: by WGSL's log, which is off by 2^-21 in [1/2, 2] and by
// 3 units of f32 elsewhere, and near 1 by four terms of the series of log(1 + f). Within 2^-16.

fn short_log(x: f32, f: f32) -> f32 {
    let near = f * (1.0 + f * (-0.5 + f * (0.33333334 - f * 0.25)));
    return select(log(x), near, abs(f) < 0.06);
}

fn log_for_f16(x: f32) -> f32 {
    return with_log_specials(x, short_log(x, x - 1.0));
}

fn log2_for_f16(x: f32) -> f32 {
    return with_log_specials(x, 1.442695 * short_log(x, x - 1.0));
}

fn log10_for_f16(x: f32) -> f32 {
    return with_log_specials(x, 0.4342945 * short_log(x, x - 1.0));
}

fn log1p_for_f16(x: f32) -> f32 {
    return with_log_specials(1.0 + x, short_log(1.0 + x, x));
}

fn asinh_for_f16(x: f32) -> f32 {
    let s = x * x;
    let near = abs(x) * (1.0 + s * (-0.16666667 + s * 0.075));
    let size = select(log(abs(x) + sqrt(1.0 + s)), near, abs(x) < 0.2);
    return select(x, copy_sign(size, x), is_finite(x));
}

fn acosh_for_f16(x: f32) -> f32 {
    let t = max(x - 1.0, 0.0);
    let result = select(log(x + sqrt(t * (x + 1.0))), 0.0, t == 0.0);
    let bits = bitcast<u32>(x);
    return select(select(result, nan(), bits < 0x3f800000u || bits > 0x7f800000u), x, bits == 0x7f800000u);
}

fn atanh_for_f16(x: f32) -> f32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let size = min(abs(x), 0.9999);
    let s = x * x;
    let near = size * (1.0 + s * (0.33333334 + s * 0.2));
    let inside = bitcast<u32>(select(0.5 * log((1.0 + size) / (1.0 - size)), near, size < 0.12));
    let result = select(select(inside, 0x7f800000u, bits == 0x3f800000u), 0x7fc00000u, bits > 0x3f800000u);
    return from_bits(result | (bitcast<u32>(x) & 0x80000000u));
}
