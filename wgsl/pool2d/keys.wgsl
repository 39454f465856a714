// keys: integers that are ordered as floats are, appended to kernels that look for a maximum. -0 equals 0, NaN is larger than
// every number, and the key of -inf is 0. Decided by the bits, which fast math leaves alone.
// Appended with it: floats and keys, f32 and u32 or vec4s of them, which key_of takes and gives; total_floats and total, those
// that float_of gives and takes.

const INFINITY_BITS: u32 = 0x7f800000u;

fn key_of(x: floats) -> keys {
    let bits = bitcast<keys>(x);
    let sign = keys(0u) - (bits >> keys(31u));
    return (((bits & keys(0x7fffffffu)) ^ sign) - sign) + keys(INFINITY_BITS);
}

fn float_of(key: total) -> total_floats {
    let number = key - total(INFINITY_BITS);
    let sign = total(0u) - (number >> total(31u));
    return bitcast<total_floats>(((number ^ sign) - sign) | (sign & total(0x80000000u)));
}
