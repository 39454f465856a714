// Shifts by any number: by 32 or more, and by a negative number, which counts as one, every bit leaves.

fn shifted_left(x: u32, y: u32) -> u32 {
    return select(0u, x << (y & 31u), y < 32u);
}

fn shifted_right(x: u32, y: u32) -> u32 {
    return select(0u, x >> (y & 31u), y < 32u);
}

fn shifted_left_i32(x: i32, y: i32) -> i32 {
    return bitcast<i32>(shifted_left(bitcast<u32>(x), bitcast<u32>(y)));
}

fn shifted_right_i32(x: i32, y: i32) -> i32 {
    return x >> min(bitcast<u32>(y), 31u);
}
