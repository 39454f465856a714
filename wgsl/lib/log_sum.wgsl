// The logarithm of a sum of exponentials, as the sum of exp(x - largest), so that nothing overflows. Where the largest element
// is infinite, x itself stands for x - largest. NaN enters the sum as it is: some drivers' exp of NaN is a number.

struct LogSum {
    largest: f32,
    sum: f32,
}

fn log_sum_shift(largest: f32) -> f32 {
    return select(largest, 0.0, is_infinite(largest));
}

fn log_sum_of_four(x: vec4<f32>) -> LogSum {
    let largest = max(max(x.x, x.y), max(x.z, x.w));
    let shift = log_sum_shift(largest);
    let is_number = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) <= vec4<u32>(0x7f800000u);
    let terms = select(x, exp(x - shift), is_number);
    return LogSum(largest, (terms.x + terms.y) + (terms.z + terms.w));
}

fn log_sum_of_one(x: f32) -> LogSum {
    return LogSum(x, select(1.0, x, is_nan(x)));
}

fn merged_log_sums(a: LogSum, b: LogSum) -> LogSum {
    let largest = max(a.largest, b.largest);
    let shift = log_sum_shift(largest);
    return LogSum(largest, rescaled(a, shift) + rescaled(b, shift));
}

// a.sum as a sum of exp(x - shift); zero where no element is above -inf.
fn rescaled(a: LogSum, shift: f32) -> f32 {
    let scaled = a.sum * exp(log_sum_shift(a.largest) - shift);
    return select(scaled, 0.0, bitcast<u32>(a.largest) == 0xff800000u && !is_nan(a.sum));
}

fn log_of_sum(x: LogSum) -> f32 {
    let infinite = is_infinite(x.largest) && !is_nan(x.sum);
    return select(log(x.sum) + log_sum_shift(x.largest), x.largest, infinite);
}
