// log(1 + x): where 1 + x is between sqrt(1/2) and sqrt(2), the polynomial of x itself; elsewhere the rounding of 1 + x
// is small relative to the result.

fn log1p(x: f32) -> f32 {
    let sum = 1.0 + x; // Not subnormal.
    let parts = normal_log_parts(bitcast<u32>(sum));
    let near = parts.k == 0.0;
    let series = log1p_series(select(parts.f, x, near));
    let result = parts.k * 0.69314575 + (series + parts.k * 1.4286068e-6);
    return select(with_log_specials(sum, result), series, near);
}
