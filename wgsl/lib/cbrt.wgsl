// The cube root: a third of the exponent, by the bits, then two steps of Halley's method, whose error falls with the
// third power. Small and large numbers are scaled by 2^48 for that; subnormal ones are integers times 2^-149.

fn cbrt(x: f32) -> f32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let subnormal = bits < 0x00800000u;
    let small = bits < 0x0d800000u; // 2^-100
    let large = bits > 0x71800000u; // 2^100
    let near = bitcast<f32>(bits) * select(select(1.0, 3.5527137e-15, large), 2.8147498e14, small);
    let size = select(near, f32(bits) * 2.0, subnormal);
    let scale = select(select(select(1.0, 65536.0, large), 1.5258789e-5, small), 8.8817842e-16, subnormal);
    var root = bitcast<f32>(bitcast<u32>(size) / 3u + 0x2a5137a0u);
    for (var step = 0u; step < 2u; step++) {
        let cube = root * root * root;
        root *= (cube + 2.0 * size) / (2.0 * cube + size);
    }
    let ordinary = bits != 0u && bits < 0x7f800000u;
    return select(x, copy_sign(root * scale, x), ordinary);
}
