// The first 12 bits of a number: a product of two such is exact.

fn leading_bits(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}
