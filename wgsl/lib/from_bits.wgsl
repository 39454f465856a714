// The f32 of a bit pattern. At run time, because compilers refuse constants that are NaN or infinite.

fn from_bits(bits: u32) -> f32 {
    var at_run_time = bits;
    return bitcast<f32>(at_run_time);
}

fn infinity() -> f32 {
    return from_bits(0x7f800000u);
}

fn nan() -> f32 {
    return from_bits(0x7fc00000u);
}
