// sqrt(x^2 + y^2) of operands scaled by a power of two, so that no square overflows, and the squares of operands from
// 2^-12 of the larger one on are normal numbers. Infinite where an operand is, even if the other is NaN.

fn hypot(x: f32, y: f32) -> f32 {
    let x_bits = bitcast<u32>(x) & 0x7fffffffu;
    let y_bits = bitcast<u32>(y) & 0x7fffffffu;
    let larger = max(x_bits, y_bits);
    let small = larger < 0x26000000u; // 2^-51
    let large = larger > 0x5f000000u; // 2^63
    let scale = select(select(1.0, 1.2621775e-29, large), 7.9228163e28, small); // 2^96
    let back = select(select(1.0, 7.9228163e28, large), 1.2621775e-29, small);
    let a = x * scale;
    let b = y * scale;
    let finite = sqrt(a * a + b * b) * back;
    let infinite = x_bits == 0x7f800000u || y_bits == 0x7f800000u;
    let special = from_bits(select(0x7fc00000u, 0x7f800000u, infinite));
    return select(select(finite, special, larger >= 0x7f800000u), 0.0, larger == 0u);
}
