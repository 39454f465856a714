// Activations in pieces. NaN, which is above no bound, is in the first piece or tested for.

fn relu(x: f32) -> f32 {
    return select(0.0, x, x > 0.0 || is_nan(x));
}

fn leaky_relu(x: f32, negative_slope: f32) -> f32 {
    return select(negative_slope * x, x, x > 0.0);
}

fn elu(x: f32, alpha: f32) -> f32 {
    return select(alpha * expm1(min(x, 0.0)), x, x > 0.0 || is_nan(x));
}

// x max(0, min(1, (x + 3) / 6)).
fn hardswish(x: f32) -> f32 {
    let middle = clamp(x, -3.0, 3.0);
    return select(select(middle * (middle + 3.0) / 6.0, x, x >= 3.0), x, is_nan(x));
}

// g times the derivatives.

fn relu_gradient(g: f32, x: f32) -> f32 {
    return select(0.0, g, x > 0.0);
}

fn leaky_relu_gradient(g: f32, x: f32, negative_slope: f32) -> f32 {
    return select(negative_slope * g, g, x > 0.0);
}

fn elu_gradient(g: f32, x: f32, alpha: f32) -> f32 {
    return select(alpha * g * accurate_exp(min(x, 0.0)), g, x > 0.0);
}

fn hardswish_gradient(g: f32, x: f32) -> f32 {
    return select(select(g * ((2.0 * x + 3.0) / 6.0), g, x >= 3.0), 0.0, x <= -3.0);
}
