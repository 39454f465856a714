// Inverse trigonometric functions of numbers of f16, by minimax polynomials within 2^-17 and WGSL's sqrt:
// acos(x) = sqrt(1 - x) P(x) for x >= 0; asin(x) is x A(x^2) below 1/2, and pi / 2 - acos(x) beyond. atan(x) is
// x T(x^2) up to 1, and pi / 2 - atan(1 / x) beyond.

fn short_acos(size: f32) -> f32 {
    let series = 0.08459657 + size * (-0.035643432 + size * 0.008591806);
    return sqrt(max(1.0 - size, 0.0)) * (1.5707874 + size * (-0.2141108 + size * series));
}

fn asin_for_f16(x: f32) -> f32 {
    let s = x * x;
    let near = abs(x) * (0.9999985 + s * (0.16685219 + s * (0.07148401 + s * 0.06506757)));
    let size = select(1.5707964 - short_acos(abs(x)), near, abs(x) < 0.5);
    return in_unit_or_nan(x, copy_sign(size, x));
}

fn acos_for_f16(x: f32) -> f32 {
    let size = short_acos(abs(x));
    return in_unit_or_nan(x, select(size, 3.1415927 - size, x < 0.0));
}

fn short_atan(x: f32) -> f32 {
    let s = x * x;
    let high = -0.12123903 + s * (0.05747727 - s * 0.013480454);
    return x * (0.99999565 + s * (-0.33299458 + s * (0.19563591 + s * high)));
}

fn atan_for_f16(x: f32) -> f32 {
    let size = min(abs(x), 1.0e9);
    let acute = short_atan(min(size, 1.0) / max(size, 1.0));
    return select(copy_sign(select(acute, 1.5707964 - acute, size > 1.0), x), x, is_nan(x));
}

fn atan2_for_f16(y: f32, x: f32) -> f32 {
    let above = min(abs(y), 1.0e18); // In place of infinity.
    let beside = min(abs(x), 1.0e18);
    let acute = short_atan(min(above, beside) / max(max(above, beside), 1.0e-9));
    let upright = select(acute, 1.5707964 - acute, above > beside);
    let size = select(upright, 3.1415927 - upright, bitcast<u32>(x) >> 31u == 1u);
    return select(copy_sign(size, y), nan(), is_nan(x) || is_nan(y));
}
