// sigmoid(x) = 1 / (1 + e^-x), softplus(x) = log(1 + e^x) and silu(x) = x sigmoid(x), which tends to 0 at -infinity: by
// e = e^-|x|, which does not overflow. silu(x) = max(x, 0) - |x| e / (1 + e), and softplus(x) = max(x, 0) + log(1 + e).

// sigmoid(x) and sigmoid(-x). Beyond 109.5 the smaller one is 0 in f32.
fn sigmoids(x: f32) -> vec2<f32> {
    let power = exp_below(min(abs(x), 109.5), 0.0);
    let e = lowered(power.near, power.k);
    let near = 1.0 / (1.0 + e);
    let far = e * near;
    return select(vec2<f32>(near, far), vec2<f32>(far, near), x < 0.0);
}

fn sigmoid(x: f32) -> f32 {
    return select(sigmoids(x).x, x, is_nan(x));
}

// g times the derivative, y (1 - y) for y = sigmoid(x).
fn sigmoid_gradient(g: f32, y: f32) -> f32 {
    return g * (y * (1.0 - y));
}

// max(x, 0) - t sigmoid(-y), for t up to |x| and y from 0 to 109.5.
fn without_share(x: f32, t: f32, y: f32) -> f32 {
    let power = exp_below(y, 0.0);
    let near = 1.0 / (1.0 + lowered(power.near, power.k));
    return max(x, 0.0) - lowered(t * power.near * near, power.k);
}

fn silu(x: f32) -> f32 {
    let t = min(abs(x), 109.5);
    return select(without_share(x, t, t), x, is_nan(x));
}

fn silu_gradient(g: f32, x: f32) -> f32 {
    let s = sigmoids(x);
    let slope = s.x + max(x, -109.5) * s.x * s.y;
    return g * select(slope, x, is_nan(x));
}

// log(1 + e) / e within 2e-7.
fn softplus(x: f32) -> f32 {
    let power = exp_below(min(abs(x), 109.5), 0.0);
    let e = lowered(power.near, power.k);
    let high = 0.17745204 + e * (-0.10768117 + e * (0.04408924 - e * 0.008539096));
    let series = 0.9999998 + e * (-0.49997405 + e * (0.33275478 + e * (-0.2449545 + e * high)));
    return select(max(x, 0.0) + e * series, x, is_nan(x));
}
