// tanh within 8 ulp. WGSL's own loses its relative accuracy near 0, and that of some drivers overflows.

fn accurate_tanh(x: f32) -> f32 {
    let s = x * x;
    let series = -0.33333281 + s * (0.13331431 + s * (-0.05373916 + s * (0.02063786 - s * 0.00570404)));
    let e = exp(-2.0 * abs(x));
    let size = (1.0 - e) / (1.0 + e);
    let far = bitcast<f32>(bitcast<u32>(size) | (bitcast<u32>(x) & 0x80000000u));
    return select(far, x + x * s * series, abs(x) < 0.625);
}
