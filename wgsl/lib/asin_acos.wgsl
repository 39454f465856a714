// asin by a minimax polynomial within 2^-27 on [-1/2, 1/2]; beyond, asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)), where
// 1 - x is exact, so that acos keeps its relative accuracy near 1.

fn asin_near(x: f32) -> f32 {
    let s = x * x;
    let high = 0.04547161 + s * (0.024172952 + s * 0.04217823);
    return x + x * s * (0.16666752 + s * (0.074952886 + s * high));
}

struct ArcParts {
    far: bool,
    arc: f32, // asin(|x|), or where it is far, pi / 2 - asin(|x|)
}

fn arc_parts(x: f32) -> ArcParts {
    let size = abs(x);
    let far = size > 0.5;
    let root = sqrt(max(0.5 - 0.5 * size, 0.0));
    let arc = asin_near(select(size, root, far));
    return ArcParts(far, select(arc, 2.0 * arc, far));
}

fn in_unit_or_nan(x: f32, result: f32) -> f32 {
    return select(result, nan(), (bitcast<u32>(x) & 0x7fffffffu) > 0x3f800000u);
}

fn accurate_asin(x: f32) -> f32 {
    let parts = arc_parts(x);
    let size = select(parts.arc, 1.5707964 - parts.arc, parts.far);
    return in_unit_or_nan(x, copy_sign(size, x));
}

fn accurate_acos(x: f32) -> f32 {
    let parts = arc_parts(x);
    let negative = bitcast<u32>(x) >> 31u == 1u;
    let far = select(parts.arc, 3.1415927 - parts.arc, negative);
    let near = 1.5707964 + select(-parts.arc, parts.arc, negative);
    return in_unit_or_nan(x, select(near, far, parts.far));
}
