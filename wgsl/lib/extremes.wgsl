// The largest element and the first index where it is. Elements are compared as unsigned integers, their keys, so that NaN and
// zeros are decided by the bits, which fast math leaves alone: NaN is above all, and -0 equals 0.

struct Extreme {
    key: u32,
    index: u32,
}

const NO_INDEX: u32 = 0xffffffffu;

fn key_of_largest(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let ordered = select(bits | 0x80000000u, select(~bits, 0x80000000u, bits == 0x80000000u), bits >> 31u == 1u);
    return select(ordered, 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
}

fn key_of_smallest(x: f32) -> u32 {
    return select(~key_of_largest(x), 0xffffffffu, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u);
}

// Of elements in any order; NO_INDEX is that of none.
fn extreme_of(a: Extreme, b: Extreme) -> Extreme {
    let second = b.key > a.key || (b.key == a.key && b.index < a.index);
    return Extreme(select(a.key, b.key, second), select(a.index, b.index, second));
}

// Where the elements of b follow those of a, if there are any.
fn extreme_then(a: Extreme, b: Extreme) -> Extreme {
    let second = b.key > a.key || a.index == NO_INDEX;
    return Extreme(select(a.key, b.key, second), select(a.index, b.index, second));
}

fn extreme_of_four(x: vec4<u32>, i: u32, step: u32) -> Extreme {
    let left = Extreme(max(x.x, x.y), select(i, i + step, x.y > x.x));
    let right = Extreme(max(x.z, x.w), select(i + 2u * step, i + 3u * step, x.w > x.z));
    let second = right.key > left.key;
    return Extreme(max(left.key, right.key), select(left.index, right.index, second));
}
