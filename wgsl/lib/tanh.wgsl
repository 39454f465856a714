// tanh within 8 ulp: a polynomial below 0.625, beyond by e^(-2 |x|). WGSL's own loses its relative accuracy near 0, and
// overflows on some drivers.

fn accurate_tanh(x: f32) -> f32 {
    let size = abs(x);
    let s = x * x;
    let series = -0.33333281 + s * (0.13331431 + s * (-0.05373916 + s * (0.02063786 - s * 0.00570404)));
    let e = exp(-2.0 * size);
    let result = select((1.0 - e) / (1.0 + e), size + size * s * series, size < 0.625);
    return select(copy_sign(result, x), x, is_nan(x));
}
