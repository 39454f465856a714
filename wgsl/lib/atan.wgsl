// atan by a minimax polynomial within 2^-25 on [0, tan(pi / 8)], after one of two reductions: atan(x) =
// pi / 4 + atan((x - 1) / (x + 1)), or pi / 2 - atan(1 / x). atan2 as C has it (C17, F.10.1.4), signs of zeros and
// infinities by the bits.

fn atan_near(x: f32) -> f32 {
    let s = x * x;
    return x + x * s * (-0.3333295 + s * (0.19977699 + s * (-0.13877554 + s * 0.08053292)));
}

// For x >= 0.
fn atan_of_size(x: f32) -> f32 {
    let far = x > 2.4142137;
    let near = x < 0.41421357;
    let above = select(select(x - 1.0, x, near), -1.0, far);
    let below = select(select(x + 1.0, 1.0, near), x, far);
    return select(select(0.7853982, 0.0, near), 1.5707964, far) + atan_near(above / below);
}

fn accurate_atan(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let size = bitcast<u32>(atan_of_size(abs(x)));
    let finite = select(size, 0x3fc90fdbu, (bits & 0x7fffffffu) == 0x7f800000u) | (bits & 0x80000000u);
    return select(bitcast<f32>(finite), x, is_nan(x));
}

// The number of these bits, times the same power of two for all that are not larger: WGSL promises quotients by divisors
// from 2^-126 to 2^126, and a device may lose subnormal numbers, n 2^-149. Their quotients by 1 and above are subnormal.
fn scaled_size(bits: u32, larger: u32) -> f32 {
    let x = bitcast<f32>(bits);
    let above = select(x * 1.1529215e18, f32(bits) * 1.6155871e-27, bits < 0x00800000u);
    return select(select(x, x * 0.25, larger > 0x7e000000u), above, larger < 0x3f800000u);
}

fn accurate_atan2(y: f32, x: f32) -> f32 {
    let y_bits = bitcast<u32>(y) & 0x7fffffffu;
    let x_bits = bitcast<u32>(x) & 0x7fffffffu;
    let larger = max(x_bits, y_bits);
    let smaller = min(x_bits, y_bits);
    let quotient = scaled_size(smaller, larger) / scaled_size(larger, larger);
    let infinite = select(0.0, 1.0, smaller == 0x7f800000u);
    let ratio = select(select(quotient, infinite, larger == 0x7f800000u), 0.0, smaller == 0u);
    let acute = atan_of_size(ratio);
    let upright = select(acute, 1.5707964 - acute, y_bits > x_bits);
    let size = select(upright, 3.1415927 - upright, bitcast<u32>(x) >> 31u == 1u);
    let with_sign = copy_sign(size, y);
    return select(with_sign, nan(), larger > 0x7f800000u);
}
