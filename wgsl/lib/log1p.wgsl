// log(1 + x): where 1 + x is between sqrt(1/2) and sqrt(2), the polynomial of x itself; elsewhere the rounding of 1 + x
// is small relative to the result.

fn log1p(x: f32) -> f32 {
    return log_of_multiple(0.0, 1.0 + x, x);
}

// log(2^doublings * sum), where sum is 1 + x, which is not subnormal, or beyond 2^14 any number.
fn log_of_multiple(doublings: f32, sum: f32, x: f32) -> f32 {
    let parts = normal_log_parts(bitcast<u32>(sum));
    let near = parts.k == 0.0;
    let series = log1p_series(select(parts.f, x, near));
    let k = parts.k + doublings;
    let result = k * 0.69314575 + (series + k * 1.4286068e-6);
    return select(with_log_specials(sum, result), series, near);
}
