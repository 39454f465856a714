// gelu(x) = x Phi(x) = max(x, 0) - t Phi(-t) for t = |x|, with the normal distribution Phi(x) = (1 + erf(x / sqrt(2))) / 2.
// Phi(-t) = e^(-t^2 / 2) R(t), where t^2 is in two parts, the first of them exact, and R a polynomial of 1 / (1 + 0.365 t)
// within 9.4e-7 of it. Beyond 14.79, t Phi(-t) is 0 in f32.

struct NormalTail {
    power: ExpBelow, // e^(-t^2 / 2)
    ratio: f32, // R(t)
}

fn normal_tail(t: f32) -> NormalTail {
    let front = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
    let power = exp_below(0.5 * front * front, 0.5 * (t - front) * (t + front));
    let u = 1.0 / (1.0 + 0.365 * t);
    let high = 0.13796622 + u * (0.03519918 + u * (0.16548224 + u * (-0.17675169 + u * 0.04818452)));
    return NormalTail(power, u * (0.14567827 + u * (0.14424172 + u * high)));
}

fn gelu(x: f32) -> f32 {
    let t = min(abs(x), 14.79);
    let tail = normal_tail(t);
    let part = lowered(t * tail.power.near * tail.ratio, tail.power.k);
    return select(max(x, 0.0) - part, x, is_nan(x));
}

// g times the derivative, Phi(x) + x phi(x).
fn gelu_gradient(g: f32, x: f32) -> f32 {
    let tail = normal_tail(min(abs(x), 14.79));
    let power = lowered(tail.power.near, tail.power.k);
    let below = power * tail.ratio;
    let slope = select(1.0 - below, below, x < 0.0) + clamp(x, -14.79, 14.79) * power * 0.3989423;
    return g * select(slope, x, is_nan(x));
}
