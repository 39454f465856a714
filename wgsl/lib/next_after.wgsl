// The number next to x on the way to y, by the bits: floats of one sign are ordered as their bits are.

// Bits of magnitudes, with the sign of the number, in the order of the numbers; both zeros are 0.
fn ordered(bits: u32, sign: u32) -> i32 {
    let size = bitcast<i32>(bits & (sign - 1u));
    return select(size, -size, (bits & sign) != 0u);
}

// `sign` is the sign bit of the format, `infinite` the bits of its infinity.
fn next_bits(x: u32, y: u32, sign: u32, infinite: u32) -> u32 {
    let size = x & (sign - 1u);
    if (size > infinite) {
        return x;
    }
    if ((y & (sign - 1u)) > infinite || ordered(x, sign) == ordered(y, sign)) {
        return y;
    }
    if (size == 0u) {
        return (y & sign) | 1u;
    }
    return select(x - 1u, x + 1u, (ordered(y, sign) > ordered(x, sign)) == ((x & sign) == 0u));
}

fn next_after(x: f32, y: f32) -> f32 {
    return from_bits(next_bits(bitcast<u32>(x), bitcast<u32>(y), 0x80000000u, 0x7f800000u));
}

// Of numbers of f16, in f16.
fn next_after_half(x: f32, y: f32) -> f32 {
    let bits = pack2x16float(vec2<f32>(x, y));
    return unpack2x16float(next_bits(bits & 0xffffu, bits >> 16u, 0x8000u, 0x7c00u)).x;
}
