// asinh, acosh and atanh by log(1 + x), which keeps the relative accuracy near their zeros. Squares of more than 2^14 do
// not change the result, and might overflow.

fn accurate_asinh(x: f32) -> f32 {
    let size = abs(x);
    let square = min(size, 16384.0) * min(size, 16384.0);
    let t = size + square / (1.0 + sqrt(1.0 + square));
    let far = size > 16384.0;
    let result = log_of_multiple(select(0.0, 1.0, far), select(1.0 + t, size, far), t);
    return select(copy_sign(result, x), x, is_nan(x));
}

fn accurate_acosh(x: f32) -> f32 {
    let t = clamp(x - 1.0, 0.0, 16384.0);
    let u = t + sqrt(t * (t + 2.0));
    let far = x > 16384.0;
    let result = log_of_multiple(select(0.0, 1.0, far), select(1.0 + u, x, far), u);
    let bits = bitcast<u32>(x);
    return select(result, nan(), bits < 0x3f800000u || bits > 0x7f800000u);
}

fn accurate_atanh(x: f32) -> f32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let size = bitcast<f32>(min(bits, 0x3f7fffffu));
    let near = bitcast<u32>(0.5 * log1p(2.0 * size / (1.0 - size)));
    let result = select(select(near, 0x7f800000u, bits == 0x3f800000u), 0x7fc00000u, bits > 0x3f800000u);
    return from_bits(result | (bitcast<u32>(x) & 0x80000000u));
}
