// Roots, quotients and distances of numbers of f16: in f32, none is subnormal, and no square overflows or vanishes.

fn sqrt_for_f16(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let size = bits & 0x7fffffffu;
    let negative = select(x, nan(), bits > 0x80000000u);
    return select(negative, sqrt(x), bits - 1u < 0x7f7fffffu);
}

fn rsqrt_for_f16(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let root = inverseSqrt(clamp(abs(x), 1.0e-30, 1.0e30));
    return select(copy_sign(root, x), nan(), bits > 0x80000000u || is_nan(x));
}

fn cbrt_for_f16(x: f32) -> f32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let root = exp2(log2(abs(x)) * 0.33333334);
    return select(x, copy_sign(root, x), bits - 1u < 0x7f7fffffu);
}

// 1e30 is infinite in f16, 1e-30 is 0.
fn reciprocal_for_f16(x: f32) -> f32 {
    let size = 1.0 / clamp(abs(x), 1.0e-30, 1.0e30);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn hypot_for_f16(x: f32, y: f32) -> f32 {
    let square = x * x + y * y;
    let size = select(sqrt(square), 0.0, square == 0.0);
    let infinite = is_infinite(x) || is_infinite(y);
    return select(select(size, nan(), is_nan(x) || is_nan(y)), infinity(), infinite);
}
