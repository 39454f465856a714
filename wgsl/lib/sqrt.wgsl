// Roots by WGSL's sqrt and inverseSqrt, of subnormal numbers too: these become integers times 2^-149, which no device
// loses. Special cases by the bits.

struct RootParts {
    x: f32,
    scale: f32,
}

// sqrt(x) = sqrt(parts.x) * parts.scale for x >= 0.
fn root_parts(x: f32) -> RootParts {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let small = bits < 0x00800000u;
    return RootParts(select(x, f32(bits) * 2.0, small), select(1.0, 2.6469780e-23, small));
}

fn accurate_sqrt(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let parts = root_parts(x);
    let root = select(bitcast<u32>(sqrt(parts.x) * parts.scale), bits, (bits & 0x7fffffffu) == 0u);
    return from_bits(select(select(root, bits, bits == 0x7f800000u), 0x7fc00000u, bits > 0x80000000u || is_nan(x)));
}

fn rsqrt(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let parts = root_parts(x);
    var root = bitcast<u32>(inverseSqrt(parts.x) * select(1.0, 3.7778932e22, parts.scale < 1.0));
    root = select(root, bits | 0x7f800000u, (bits & 0x7fffffffu) == 0u);
    return from_bits(select(select(root, 0u, bits == 0x7f800000u), 0x7fc00000u, bits > 0x80000000u || is_nan(x)));
}
