// log10(x) = k log10(2) + log10(1 + f), with log10(2) in two parts.

fn log10(x: f32) -> f32 {
    let parts = log_parts(x);
    let low = log1p_series(parts.f) * 0.4342945 + parts.k * 4.605039e-6;
    return with_log_specials(x, parts.k * 0.30102539 + low);
}
