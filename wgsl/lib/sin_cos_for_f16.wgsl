// Sine, cosine and tangent of numbers of f16, up to 65,504. sin(x) = (-1)^q sin(x - q pi), |x - q pi| <= pi / 2, by a
// minimax polynomial within 2^-19; a cosine is that for x + pi / 2. pi is in three parts (Cody and Waite 1980): the first
// two have 8 bits, so that their products with q, of up to 16 bits, are exact.

// (-1)^turns sin(x - q pi); NaN for infinity.
fn sine_less_turns(x: f32, q: f32, turns: u32) -> f32 {
    let r = ((x - q * 3.140625) - q * 0.00096893311) + q * 1.2795157e-6;
    let s = r * r;
    let sine = r * (0.99999905 + s * (-0.16665554 + s * (0.008311899 - s * 0.0001848814)));
    return finite_or_nan(x, bitcast<f32>(bitcast<u32>(sine) ^ (turns << 31u)));
}

fn sin_for_f16(x: f32) -> f32 {
    let q = round(abs(x) * 0.31830987);
    return sine_less_turns(abs(x), q, u32(q) + (bitcast<u32>(x) >> 31u));
}

fn cos_for_f16(x: f32) -> f32 {
    let q = floor(abs(x) * 0.31830987);
    return sine_less_turns(abs(x), q + 0.5, u32(q) + 1u);
}

// By quarters of a turn: tan(x) is tan(r) or -1 / tan(r).
fn tan_for_f16(x: f32) -> f32 {
    let q = round(abs(x) * 0.63661975);
    let r = ((abs(x) - q * 1.5703125) - q * 0.00048446655) + q * 6.3975784e-7;
    let s = r * r;
    let sine = r * (0.9999985 + s * (-0.16662382 + s * 0.008150057));
    let cosine = 0.99999994 + s * (-0.49999842 + s * (0.04165442 - s * 0.0013579404));
    let odd = (u32(q) & 1u) == 1u;
    let tangent = select(sine, -cosine, odd) / select(cosine, sine, odd);
    return finite_or_nan(x, bitcast<f32>(bitcast<u32>(tangent) ^ (bitcast<u32>(x) & 0x80000000u)));
}
