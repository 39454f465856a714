// e^-t = 2^-k e^r for t from 0 to 109.5, with k = round(t / ln 2). WGSL promises its exp within 3 + 2 |r| ulp. ln 2 is split
// in two, as in exp.wgsl. Multiply by e^r first and by 2^-k last, as products with e^-t may be normal where it is not.

struct ExpBelow {
    k: i32,
    near: f32, // e^r, from 0.6 to 1.5
}

// t is high + low, with low below 0.1. The sum is at least 2^23, so that its last bit is 1.
fn exp_below(high: f32, low: f32) -> ExpBelow {
    let k = bitcast<i32>(1.442695 * high + 12582912.0) - 0x4b400000;
    let count = f32(k);
    return ExpBelow(k, exp(((count * 0.69314575 - high) - low) + count * 1.4286068e-6));
}

// x 2^-k for an x that is not negative, by the bits. Some number below 2^-126, or 0, where the result is.
fn lowered(x: f32, k: i32) -> f32 {
    return bitcast<f32>(max(bitcast<i32>(x) - (k << 23u), 0));
}
