// gelu_tanh(x) = x (1 + tanh(y / 2)) / 2 = x sigmoid(y), with y = 2 sqrt(2 / pi) (x + 0.044715 x^3).

fn gelu_exponent(x: f32) -> f32 {
    let near = clamp(x, -20.0, 20.0);
    return near * (1.5957691 + 0.07135482 * near * near);
}

fn gelu_tanh(x: f32) -> f32 {
    let far = abs(x) > 4.0;
    let scale = select(1.0, 5.9604645e-8, far);
    let e = exp_scaled(-abs(gelu_exponent(x)), select(0, 24, far));
    let size = abs(max(x, -20.0)) / (1.0 + scale * e);
    return select(select(size, -(size * e) * scale, x < 0.0), x, is_nan(x));
}

// g times the derivative, s + x s (1 - s) y' for s = sigmoid(y).
fn gelu_tanh_gradient(g: f32, x: f32) -> f32 {
    let near = clamp(x, -20.0, 20.0);
    let y = gelu_exponent(x);
    let s = sigmoid(y);
    let slope = s + near * (1.5957691 + 0.21406446 * near * near) * s * sigmoid(-y);
    return g * select(slope, x, is_nan(x));
}

fn gelu_tanh_for_f16(x: f32) -> f32 {
    return max(x, -20.0) * sigmoid_for_f16(select(gelu_exponent(x), x, is_nan(x)));
}
