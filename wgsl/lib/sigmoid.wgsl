// sigmoid(x) = 1 / (1 + e^-x), and silu(x) = x sigmoid(x): by e^-|x|, which does not overflow. silu tends to 0 at -infinity.
// The functions for f16 take WGSL's exp, whose error f16 does not show.

fn sigmoid(x: f32) -> f32 {
    let e = accurate_exp(-abs(x));
    return select(select(1.0, e, x < 0.0) / (1.0 + e), x, is_nan(x));
}

// g times the derivative, y (1 - y) for y = sigmoid(x).
fn sigmoid_gradient(g: f32, y: f32) -> f32 {
    return g * (y * (1.0 - y));
}

fn silu(x: f32) -> f32 {
    let size = abs(max(x, -110.0));
    // e^-|x| may be subnormal where x e^-|x| is not: 2^24 of it is not.
    let far = size > 8.0;
    let scale = select(1.0, 5.9604645e-8, far);
    let e = exp_scaled(-size, select(0, 24, far));
    let quotient = size / (1.0 + scale * e);
    return select(select(quotient, -(quotient * e) * scale, x < 0.0), x, is_nan(x));
}

fn silu_gradient(g: f32, x: f32) -> f32 {
    let s = sigmoid(x);
    return g * (s + max(x, -110.0) * s * sigmoid(-x));
}

fn sigmoid_for_f16(x: f32) -> f32 {
    return select(1.0 / (1.0 + exp(min(-x, 80.0))), x, is_nan(x));
}

fn silu_for_f16(x: f32) -> f32 {
    return max(x, -80.0) * sigmoid_for_f16(x);
}
