// The error function, which WGSL lacks: below 0.85 x + x E(x^2), beyond 1 - e^-G(x), both minimax polynomials within
// 2^-26 of the result. erfc(x) = e^(-x^2) R(x) from 1/2 on, with x^2 in two parts, the first exact, and R by a polynomial
// of (x - 3) / (x + 3) within 2^-23.

fn erf_near(x: f32) -> f32 {
    let s = x * x;
    let high = -0.026802547 + s * (0.0050510946 - s * 0.00063151284);
    return x + x * (0.12837917 + s * (-0.37612572 + s * (0.112827174 + s * high)));
}

fn erf(x: f32) -> f32 {
    let t = min(abs(x), 4.0);
    let high = 0.104525946 + t * (-0.022519061 + t * (0.0031178559 - t * 0.00020367693));
    let exponent = 0.00010450416 + t * (1.128061 + t * (0.6365189 + t * high));
    let size = select(1.0 - accurate_exp(-exponent), erf_near(abs(x)), t < 0.85);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn erfc(x: f32) -> f32 {
    let t = min(abs(x), 11.0);
    let q = (t - 3.0) / (t + 3.0);
    let high = -0.119226955 + q * (0.06841583 + q * (-0.024003759 + q * (0.0020475676 + q * 0.0022219138)));
    let series = 1.2530081 + q * (-0.13562085 + q * (-0.0475652 + q * (0.12963551 + q * high)));
    let leading = leading_bits(t);
    let rest = accurate_exp(-(t - leading) * (t + leading));
    let tail = accurate_exp(-leading * leading) * (rest * series / (1.0 + 2.0 * t));
    let far = select(tail, 2.0 - tail, bitcast<u32>(x) >> 31u == 1u);
    return select(select(far, 1.0 - erf_near(x), t < 0.5), x, is_nan(x));
}
