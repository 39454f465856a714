// 2^x = 2^k 2^f with k = round(x), |f| <= 1/2. Minimax polynomial of 2^f, within 2^-25.

fn exp2_fraction(f: f32) -> f32 {
    let series = 0.24022648 + f * (0.055503324 + f * (0.009618438 + f * (0.0013398901 + f * 0.00015353342)));
    return 1.0 + f * (0.6931472 + f * series);
}

fn accurate_exp2(x: f32) -> f32 {
    let near = clamp(x, -160.0, 140.0);
    let k = round(near);
    return select(times_power_of_two(exp2_fraction(near - k), i32(k)), x, is_nan(x));
}
