// Division with a remainder, of f32 by long division of the significands: the remainder is exact, and so is a quotient
// below 2^24, on every device. Results are those of Python and NumPy: x = floor_divide(x, y) * y + remainder(x, y), where
// the remainder has the sign of y; `truncated_remainder` has that of x, as C's fmod. Integers divided by 0 give 0.

struct Division {
    quotient: f32,
    remainder: u32,
}

// The exponent of a number m * 2^(exponent - 150) that is finite and not 0, where m is its 24-bit significand.
fn exponent_of(size: u32) -> i32 {
    let exponent = bitcast<i32>(size >> 23u);
    return select(exponent, 9 - bitcast<i32>(countLeadingZeros(size)), exponent == 0);
}

fn significand_of(size: u32) -> u32 {
    let shift = countLeadingZeros(size) - 8u;
    return select((size & 0x7fffffu) | 0x800000u, size << (shift & 31u), size < 0x800000u);
}

// The bits of m * 2^(exponent - 150), for an m below 2^24 of which that is a float.
fn bits_of(m: u32, exponent: i32) -> u32 {
    if (m == 0u) {
        return 0u;
    }
    let shift = countLeadingZeros(m) - 8u;
    let e = exponent - bitcast<i32>(shift);
    let significand = m << shift;
    if (e > 0) {
        return (bitcast<u32>(e) << 23u) | (significand & 0x7fffffu);
    }
    return significand >> bitcast<u32>(1 - e);
}

// Of the bits of two magnitudes: x finite, y not 0 nor NaN. The remainder is given by its bits.
fn divide_magnitudes(x: u32, y: u32) -> Division {
    if (x < y) {
        return Division(0.0, x);
    }
    let exponent = exponent_of(y);
    let divisor = significand_of(y);
    var rest = significand_of(x);
    var quotient = rest / divisor;
    rest -= quotient * divisor;
    var dropped = 0u;
    // Eight bits of the quotient at a time: at most 35 steps.
    for (var left = bitcast<u32>(exponent_of(x) - exponent); left > 0u; left -= min(left, 8u)) {
        let bits = min(left, 8u);
        rest <<= bits;
        let digits = rest / divisor;
        rest -= digits * divisor;
        if (quotient < 0x1000000u) {
            quotient = (quotient << bits) | digits;
        } else {
            dropped += bits;
        }
    }
    let scale = bitcast<f32>((min(dropped, 127u) + 127u) << 23u);
    // A quotient of which bits were dropped is 2^24 or more.
    let size = select(f32(quotient) * scale, infinity(), dropped > 103u);
    return Division(size, bits_of(rest, exponent));
}

fn truncated_remainder(x: f32, y: f32) -> f32 {
    let x_size = bitcast<u32>(x) & 0x7fffffffu;
    let y_size = bitcast<u32>(y) & 0x7fffffffu;
    if (x_size >= 0x7f800000u || y_size > 0x7f800000u || y_size == 0u) {
        return nan();
    }
    return from_bits((bitcast<u32>(x) & 0x80000000u) | divide_magnitudes(x_size, y_size).remainder);
}

fn floored_remainder(x: f32, y: f32) -> f32 {
    let x_bits = bitcast<u32>(x);
    let y_bits = bitcast<u32>(y);
    let y_size = y_bits & 0x7fffffffu;
    if ((x_bits & 0x7fffffffu) >= 0x7f800000u || y_size > 0x7f800000u || y_size == 0u) {
        return nan();
    }
    let rest = divide_magnitudes(x_bits & 0x7fffffffu, y_size).remainder;
    let sign = y_bits & 0x80000000u;
    if (rest == 0u || (x_bits >> 31u) == (y_bits >> 31u)) {
        return from_bits(sign | rest);
    }
    return from_bits(sign | bitcast<u32>(from_bits(y_size) - from_bits(rest)));
}

fn floored_quotient(x: f32, y: f32) -> f32 {
    let x_bits = bitcast<u32>(x);
    let y_bits = bitcast<u32>(y);
    let x_size = x_bits & 0x7fffffffu;
    let y_size = y_bits & 0x7fffffffu;
    let sign = (x_bits ^ y_bits) & 0x80000000u;
    if (x_size > 0x7f800000u || y_size > 0x7f800000u || (x_size == 0u && y_size == 0u)) {
        return nan();
    }
    if (y_size == 0u) {
        return from_bits(sign | 0x7f800000u);
    }
    if (x_size == 0x7f800000u) {
        return nan();
    }
    let division = divide_magnitudes(x_size, y_size);
    let floored = division.quotient + select(0.0, 1.0, sign != 0u && division.remainder != 0u);
    return from_bits(sign | bitcast<u32>(floored));
}

fn magnitude_of(x: i32) -> u32 {
    return select(bitcast<u32>(x), 0u - bitcast<u32>(x), x < 0);
}

fn floored_quotient_i32(x: i32, y: i32) -> i32 {
    let size = magnitude_of(x);
    let divisor = max(magnitude_of(y), 1u);
    let quotient = size / divisor;
    let down = quotient + select(1u, 0u, quotient * divisor == size);
    return select(0, bitcast<i32>(select(quotient, 0u - down, (x < 0) != (y < 0))), y != 0);
}

fn floored_remainder_i32(x: i32, y: i32) -> i32 {
    let rest = magnitude_of(truncated_remainder_i32(x, y));
    let size = select(rest, magnitude_of(y) - rest, rest != 0u && (x < 0) != (y < 0));
    return bitcast<i32>(select(size, 0u - size, y < 0));
}

fn truncated_remainder_i32(x: i32, y: i32) -> i32 {
    let size = magnitude_of(x);
    let divisor = max(magnitude_of(y), 1u);
    let rest = size - size / divisor * divisor;
    return select(0, bitcast<i32>(select(rest, 0u - rest, x < 0)), y != 0);
}

fn quotient_u32(x: u32, y: u32) -> u32 {
    return select(0u, x / max(y, 1u), y != 0u);
}

fn remainder_u32(x: u32, y: u32) -> u32 {
    return select(0u, x - x / max(y, 1u) * max(y, 1u), y != 0u);
}
