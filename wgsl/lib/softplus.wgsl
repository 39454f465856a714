// softplus(x) = log(1 + e^x), which overflows, so max(x, 0) + log(1 + e^-|x|).

fn softplus(x: f32) -> f32 {
    return select(max(x, 0.0) + log1p(accurate_exp(-abs(x))), x, is_nan(x));
}
