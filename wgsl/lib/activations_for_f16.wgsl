// Activations of f16 operands: of e^-|x| by WGSL's exp, whose error f16 does not show. The polynomials are within 2^-13.
// The formulas are those of sigmoid.wgsl and gelu_tanh.wgsl; gelu(x) = max(x, 0) - t Phi(-t) for t = |x|, with 2^P(t) for
// Phi(-t) and a polynomial P. It is 0 in f16 beyond 5.9.

// 1 / (1 + e) within 5.2e-5, for e from 0 to 1.
fn short_quotient(e: f32) -> f32 {
    let high = 0.9534193 + e * (-0.77056907 + e * (0.41793352 - e * 0.10448276));
    return 0.99994898 + e * (-0.9962755 + e * high);
}

fn sigmoid_for_f16(x: f32) -> f32 {
    let e = exp(-min(abs(x), 80.0));
    let near = short_quotient(e);
    return select(select(near, e * near, x < 0.0), x, is_nan(x));
}

fn short_without_share(x: f32, t: f32, y: f32) -> f32 {
    let e = exp(-y);
    return max(x, 0.0) - t * e * short_quotient(e);
}

fn silu_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 80.0);
    return select(short_without_share(x, t, t), x, is_nan(x));
}

fn softplus_for_f16(x: f32) -> f32 {
    let e = exp(-min(abs(x), 80.0));
    let high = 0.32520645 + e * (-0.21004804 + e * (0.10122154 - e * 0.023868857));
    let series = 0.9999916 + e * (-0.49936134 + e * high);
    return select(max(x, 0.0) + e * series, x, is_nan(x));
}

fn gelu_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 5.9);
    let high = -0.46412015 + t * (-0.04823754 + t * (0.0058273249 - t * 0.00032051187));
    let part = t * exp2(-1.0001206 + t * (-1.1491766 + t * high));
    return select(max(x, 0.0) - part, x, is_nan(x));
}

fn gelu_tanh_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 10.88);
    return select(short_without_share(x, t, t * (1.5957691 + 0.07135482 * t * t)), x, is_nan(x));
}
