// The angle of a number in quarters of a turn: size = q pi / 2 + r, |r| <= pi / 4, for any finite size >= 0. Up to 201 by
// Cody and Waite's method (1980): pi / 2 in three parts, of which two have exact products with q. Beyond, in integers, by
// 2 / pi to 224 bits (Payne and Hanek 1983).

struct Angle {
    quarter: u32,
    r: f32,
}

// The high word of a product; a < 2^24.
fn high_product(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a & 0xffffu) * (b >> 16u) + (low >> 16u);
    let other = (a >> 16u) * (b & 0xffffu) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

const TWO_OVER_PI = array<u32, 8>(
    0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu,
);

fn far_angle(size: f32) -> Angle {
    let bits = bitcast<u32>(size);
    let whole = (bits & 0x007fffffu) | 0x00800000u; // size = whole * 2^(exponent - 150)
    let first = min(bits >> 23u, 254u) - 120u;
    // 96 bits of 2 / pi: the product with `whole` has two bits for the quarter, and what is above them is full turns.
    var words = TWO_OVER_PI;
    var window = array<u32, 3>(0u, 0u, 0u);
    for (var i = 0u; i < 3u; i++) { // unroll
        let high = words[(first >> 5u) + i] << (first & 31u);
        window[i] = high | ((words[(first >> 5u) + i + 1u] >> 1u) >> (31u - (first & 31u)));
    }
    let middle = whole * window[1] + high_product(whole, window[2]);
    let carry = select(0u, 1u, middle < high_product(whole, window[2]));
    let top = whole * window[0] + high_product(whole, window[1]) + carry;
    // The fraction of a quarter in 64 bits, to the nearest quarter: between -1/2 and 1/2.
    var high = (top << 2u) | (middle >> 30u);
    var low = middle << 2u;
    let negative = high >= 0x80000000u;
    high = select(high, ~high + select(0u, 1u, low == 0u), negative);
    low = select(low, ~low + 1u, negative);
    let zeros = min(countLeadingZeros(high), 31u);
    let leading = (high << zeros) | ((low >> 1u) >> (31u - zeros));
    // leading * 2^-(32 + zeros) quarters.
    let r = f32(leading) * bitcast<f32>((95u - zeros) << 23u) * 1.5707964;
    return Angle((top >> 30u) + select(0u, 1u, negative), select(r, -r, negative));
}

fn angle_of(size: f32) -> Angle {
    if (bitcast<u32>(size) > 0x43490000u) { // 201, by the bits, which tell NaN as well.
        return far_angle(size);
    }
    let q = round(size * 0.63661975);
    return Angle(u32(q), ((size - q * 1.5707703) - q * 2.6063062e-5) - q * 6.0771006e-11);
}
