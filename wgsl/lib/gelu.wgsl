// gelu(x) = x Phi(x), with the normal distribution Phi(x) = (1 + erf(x / sqrt(2))) / 2. For t >= 0,
// Phi(-t) = e^(-t^2 / 2) R(t), where t^2 is in two parts, the first of them exact, and R a polynomial of
// 1 / (1 + 0.3 t) within 1.7e-7 of it. The function for f16 takes WGSL's exp and a shorter polynomial, within 1.2e-4.

struct NormalTail {
    power: f32, // e^(-t^2 / 2) / scale: not subnormal where x Phi(x) is not.
    scale: f32,
    ratio: f32, // R(t)
}

fn normal_tail(x: f32) -> NormalTail {
    let t = min(abs(x), 16.0);
    let front = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
    let high = 0.5 * front * front;
    let low = 0.5 * (t - front) * (t + front);
    let k = round(-1.442695 * (high + low));
    let r = ((-k * 0.69314575 - high) - low) - k * 1.4286068e-6;
    let series = 0.49999997 + r * (0.16666543 + r * (0.041667204 + r * (0.008366615 + r * 0.0013882504)));
    let u = 1.0 / (1.0 + 0.3 * t);
    let last = -0.0520338 + u * (0.20455654 + u * (-0.1561583 + u * 0.0354237));
    let ratio = u * (0.11963201 + u * (0.12071213 + u * (0.10017598 + u * (0.12769166 + u * last))));
    let far = t > 4.0;
    let power = times_power_of_two(1.0 + (r + r * r * series), i32(k) + select(0, 24, far));
    return NormalTail(power, select(1.0, 5.9604645e-8, far), ratio);
}

fn gelu(x: f32) -> f32 {
    let tail = normal_tail(x);
    let part = min(abs(x), 16.0) * (tail.power * tail.ratio) * tail.scale;
    return select(select(x - part, -part, x < 0.0), x, is_nan(x));
}

// g times the derivative, Phi(x) + x phi(x).
fn gelu_gradient(g: f32, x: f32) -> f32 {
    let tail = normal_tail(x);
    let power = tail.power * tail.scale;
    let below = power * tail.ratio;
    let slope = select(1.0 - below, below, x < 0.0) + clamp(x, -16.0, 16.0) * power * 0.3989423;
    return g * select(slope, x, is_nan(x));
}

fn gelu_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 8.0);
    let u = 1.0 / (1.0 + 0.48 * t);
    let ratio = u * (0.1945755 + u * (0.1586938 + u * (0.27046347 - u * 0.12378968)));
    let part = t * exp(-0.5 * t * t) * ratio;
    return select(select(x - part, -part, x < 0.0), x, is_nan(x));
}
