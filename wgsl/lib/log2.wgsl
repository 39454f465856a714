// log2(x) = k + log2(1 + f); exact for powers of two.

fn accurate_log2(x: f32) -> f32 {
    let parts = log_parts(x);
    return with_log_specials(x, parts.k + log1p_series(parts.f) * 1.442695);
}
