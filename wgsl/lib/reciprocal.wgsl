// 1 / x. WGSL promises quotients by divisors from 2^-126 to 2^126: those beyond are scaled, and subnormal ones, n 2^-149,
// become n 2^-23. 0, infinity and NaN are recognized by their bits.

fn reciprocal(x: f32) -> f32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let sign = bitcast<u32>(x) & 0x80000000u;
    let small = bits < 0x00800000u;
    let scale = select(1.0, 0.25, bits > 0x7e000000u);
    let divisor = select(bitcast<f32>(bits) * scale, f32(bits) * 1.1920929e-7, small);
    let finite = bitcast<u32>(1.0 / divisor * select(scale, 8.507059e37, small));
    let result = select(select(finite, 0x7f800000u, bits == 0u), 0u, bits == 0x7f800000u);
    return from_bits(sign | select(result, 0x7fc00000u, bits > 0x7f800000u));
}
