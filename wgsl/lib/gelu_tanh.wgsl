// gelu_tanh(x) = x (1 + tanh(y / 2)) / 2 = x sigmoid(y), with y = 2 sqrt(2 / pi) (x + 0.044715 x^3). Beyond |x| = 10.88,
// where y is 109, the result is x or 0.

fn gelu_exponent(x: f32) -> f32 {
    return x * (1.5957691 + 0.07135482 * x * x);
}

fn gelu_tanh(x: f32) -> f32 {
    let t = min(abs(x), 10.88);
    return select(without_share(x, t, gelu_exponent(t)), x, is_nan(x));
}

// g times the derivative, s + x s (1 - s) y' for s = sigmoid(y).
fn gelu_tanh_gradient(g: f32, x: f32) -> f32 {
    let near = clamp(x, -10.88, 10.88);
    let s = sigmoids(gelu_exponent(near));
    let slope = s.x + near * (1.5957691 + 0.21406446 * near * near) * s.x * s.y;
    return g * select(slope, x, is_nan(x));
}
