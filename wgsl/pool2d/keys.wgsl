// keys: integers that are ordered as floats are, appended to kernels that look for a maximum. -0 equals 0, NaN is larger than
// every number, and the key of -inf is 0. Decided by the bits, which fast math leaves alone.
// Appended with it: floats, keys and ints, f32, u32 and i32 or vectors of them, which key_of takes and gives; total_floats,
// total and total_ints, the same for float_of.

const INFINITY_BITS: u32 = 0x7f800000u;

fn key_of(x: floats) -> keys {
    let sign = bitcast<keys>(bitcast<ints>(x) >> keys(31u));
    return (((bitcast<keys>(x) & keys(0x7fffffffu)) ^ sign) - sign) + keys(INFINITY_BITS);
}

fn float_of(key: total) -> total_floats {
    let number = key - total(INFINITY_BITS);
    let size = bitcast<total>(abs(bitcast<total_ints>(number)));
    return bitcast<total_floats>(size | (number & total(0x80000000u)));
}
