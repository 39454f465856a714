// e^x - 1 = 2^k (e^r - 1) + (2^k - 1), without cancellation: for k = 0 it is e^r - 1. Computed as half of that and
// doubled, so that 2^k is finite. Below 2^-25 it is x, of which half may be subnormal.

fn expm1(x: f32) -> f32 {
    let parts = exp_parts(clamp(x, -20.0, 89.0));
    let power = bitcast<f32>(u32(parts.k + 126) << 23u);
    let result = 2.0 * (power * parts.less_one + (power - 0.5));
    return select(result, x, abs(x) < 2.9802322e-8 || is_nan(x));
}
