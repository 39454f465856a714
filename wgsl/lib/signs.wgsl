// Signs by the bits, which fast math leaves alone: of zeros and NaN as well.

fn sign_bit(x: f32) -> bool {
    return bitcast<u32>(x) >> 31u == 1u;
}

fn copy_sign(x: f32, y: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

// -1, 0 or 1; NaN for NaN.
fn sign_of(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let size = bits & 0x7fffffffu;
    let one = bitcast<f32>((bits & 0x80000000u) | 0x3f800000u);
    return select(select(one, x, size > 0x7f800000u), 0.0, size == 0u);
}
