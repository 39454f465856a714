// Sine and cosine: minimax polynomials within 2^-26 on [-pi / 4, pi / 4], after the reduction of circle.wgsl.

fn sin_near(r: f32) -> f32 {
    let s = r * r;
    return r + r * s * (-0.16666655 + s * (0.00833216 - s * 0.00019515198));
}

fn cos_near(r: f32) -> f32 {
    let s = r * r;
    return 1.0 - s * (0.5 - s * (0.041666646 + s * (-0.0013887315 + s * 2.443306e-5)));
}

// The sine of an angle, a number of quarters later; a cosine is one quarter later.
fn sin_of(angle: Angle, later: u32) -> f32 {
    let quarter = angle.quarter + later;
    let size = select(sin_near(angle.r), cos_near(angle.r), (quarter & 1u) == 1u);
    return select(size, -size, (quarter & 2u) == 2u);
}

fn finite_or_nan(x: f32, result: f32) -> f32 {
    return select(result, nan(), (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u);
}

fn accurate_sin(x: f32) -> f32 {
    let of_size = sin_of(angle_of(abs(x)), 0u);
    return finite_or_nan(x, bitcast<f32>(bitcast<u32>(of_size) ^ (bitcast<u32>(x) & 0x80000000u)));
}

fn accurate_cos(x: f32) -> f32 {
    return finite_or_nan(x, sin_of(angle_of(abs(x)), 1u));
}

fn accurate_tan(x: f32) -> f32 {
    let angle = angle_of(abs(x));
    let odd = (angle.quarter & 1u) == 1u;
    let sine = sin_near(angle.r);
    let cosine = cos_near(angle.r);
    let of_size = select(sine, -cosine, odd) / select(cosine, sine, odd);
    return finite_or_nan(x, bitcast<f32>(bitcast<u32>(of_size) ^ (bitcast<u32>(x) & 0x80000000u)));
}
