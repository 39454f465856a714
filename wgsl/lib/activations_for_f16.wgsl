// Activations of f16 operands: of e^-|x| by WGSL's exp, whose error f16 does not show. The polynomials are within 2^-13.
// The formulas of sigmoid, silu and softplus are those of sigmoid.wgsl. Both forms of gelu are max(x, 0) - t Phi(-t) for
// t = |x|, with 2^P(t) for Phi(-t) and a polynomial P. t Phi(-t) is 0 in f16 beyond 5.9, in the tanh form beyond 5.45.

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

fn silu_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 80.0);
    let e = exp(-t);
    return select(max(x, 0.0) - t * e * short_quotient(e), x, is_nan(x));
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
    let t = min(abs(x), 5.45);
    let high = -0.4598163 + t * (-0.058172174 + t * (0.017499122 + t * (-0.0050577214 + t * 0.0003857677)));
    let part = t * exp2(-1.0001673 + t * (-1.1494739 + t * high));
    return select(max(x, 0.0) - part, x, is_nan(x));
}
