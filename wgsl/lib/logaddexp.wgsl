// log(e^x + e^y) = a + log(1 + e^(b - a)), a >= b. Where |a| < 1, e^b e^-a takes the place of e^(b - a), because the
// rounding of b - a would count. Where the terms cancel, the error is relative to them, not to their sum.

fn logaddexp(x: f32, y: f32) -> f32 {
    let a = max(x, y);
    let near = abs(a) < 1.0;
    let e = accurate_exp(select(-abs(x - y), min(x, y), near)) * accurate_exp(select(0.0, -a, near));
    let infinite = (bitcast<u32>(a) & 0x7fffffffu) == 0x7f800000u;
    return select(select(a + log1p(e), a, infinite), nan(), is_nan(x) || is_nan(y));
}
