// log(x) = k log(2) + log(1 + f) for x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2). k log(2) is in two parts, the first
// exact. Minimax polynomial of log(1 + f), within 2^-24 of its value also near 0. Subnormal numbers are normalized as
// integers, so that no device loses them.

struct LogParts {
    k: f32,
    f: f32,
}

fn log_parts(x: f32) -> LogParts {
    let given = bitcast<u32>(x) & 0x7fffffffu;
    let small = given < 0x00800000u;
    let parts = normal_log_parts(select(given, bitcast<u32>(f32(given)), small));
    return LogParts(parts.k - select(0.0, 149.0, small), parts.f);
}

// Of a number by its bits, neither subnormal nor negative; k is not 0 for a negative number or NaN.
fn normal_log_parts(number: u32) -> LogParts {
    let bits = number - 0x3f3504f3u;
    return LogParts(f32(bitcast<i32>(bits) >> 23u), bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0);
}

fn log1p_series(f: f32) -> f32 {
    let high = -0.16577548 + f * (0.1491492 + f * (-0.14267865 + f * 0.08700463));
    let series = 0.33333912 + f * (-0.25001338 + f * (0.19963048 + f * high));
    return f - f * f * (0.5 - f * series);
}

// A logarithm of x, with those of 0, infinity, NaN and negative numbers by the bits.
fn with_log_specials(x: f32, logarithm: f32) -> f32 {
    let bits = bitcast<u32>(x);
    var result = select(bitcast<u32>(logarithm), 0x7f800000u, bits == 0x7f800000u);
    result = select(result, 0x7fc00000u, bits > 0x7f800000u);
    return from_bits(select(result, 0xff800000u, (bits & 0x7fffffffu) == 0u));
}

fn accurate_log(x: f32) -> f32 {
    let parts = log_parts(x);
    return with_log_specials(x, parts.k * 0.69314575 + (log1p_series(parts.f) + parts.k * 1.4286068e-6));
}
