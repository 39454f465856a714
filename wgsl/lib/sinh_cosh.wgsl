// sinh and cosh by e^|x| - 1, without cancellation near 0, and by half of e^|x|, finite as long as they are.

fn accurate_sinh(x: f32) -> f32 {
    let size = abs(x);
    let t = expm1(min(size, 9.0));
    let near = 0.5 * (t + t / (t + 1.0));
    let result = select(near, exp_of_size(size, -1), size > 9.0);
    return select(copy_sign(result, x), x, is_nan(x));
}

fn accurate_cosh(x: f32) -> f32 {
    let half_exp = exp_of_size(abs(x), -1);
    let result = select(half_exp + 0.25 / half_exp, half_exp, abs(x) > 30.0);
    return select(result, x, is_nan(x));
}
