// Number, mean and sum of squared deviations of elements. Of a few elements by two passes over registers; two such sets merge by
// the formula of Chan, Golub and LeVeque (Algorithms for computing the sample variance, 1983).

struct Moments {
    count: f32,
    mean: f32,
    squares: f32,
}

fn moments_of_four(x: vec4<f32>) -> Moments {
    let mean = 0.25 * ((x.x + x.y) + (x.z + x.w));
    let off = x - mean;
    return Moments(4.0, mean, dot(off, off));
}

fn moments_of_sixteen(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> Moments {
    let sums = (a + b) + (c + d);
    let mean = 0.0625 * ((sums.x + sums.y) + (sums.z + sums.w));
    let off_a = a - mean;
    let off_b = b - mean;
    let off_c = c - mean;
    let off_d = d - mean;
    let squares = (off_a * off_a + off_b * off_b) + (off_c * off_c + off_d * off_d);
    return Moments(16.0, mean, (squares.x + squares.y) + (squares.z + squares.w));
}

fn merged_moments(a: Moments, b: Moments) -> Moments {
    let count = a.count + b.count;
    let weight = b.count / max(count, 1.0);
    let delta = b.mean - a.mean;
    return Moments(count, a.mean + delta * weight, (a.squares + b.squares) + (delta * (a.count * weight)) * delta);
}
