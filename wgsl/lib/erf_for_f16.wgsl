// The error function and its complement for results in f16: as in erf.wgsl, with shorter polynomials, within 2^-17.
// erfc(x) = e^(-x^2) R(x) for x >= 0, with R a polynomial of 1 / (1 + 0.45 x).

fn erf_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 3.2);
    let s = t * t;
    let near = abs(x) * (1.1283785 + s * (-0.3760712 + s * (0.11206953 - s * 0.023380816)));
    let exponent = 0.003881029 + t * (1.6077979 + t * (0.9584368 + t * (0.11076008 - t * 0.012456567)));
    let size = select(1.0 - exp2(-exponent), near, t < 0.6);
    return select(copy_sign(size, x), x, is_nan(x));
}

fn erfc_for_f16(x: f32) -> f32 {
    let t = min(abs(x), 4.5);
    let u = 1.0 / (1.0 + 0.45 * t);
    let high = 0.53738236 + u * (-0.40037107 + u * (0.8955961 - u * 0.22735031));
    let tail = exp(-t * t) * (0.0060542594 + u * (0.18869556 + u * high));
    return select(select(tail, 2.0 - tail, x < 0.0), x, is_nan(x));
}
