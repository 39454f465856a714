// rms_norm_gradient: out = r * (g - x * r^2 * mean(g * x)), where r = 1 / sqrt(mean(x^2) + epsilon), and g is the
//   gradient of rms_norm's result times the weight.
//
// After `statistics`, `squares` is r, and `products` is r^2 * mean(g * x).

struct State {
    squares: f32,
    products: f32,
}

fn identity() -> State {
    return State(0.0, 0.0);
}

fn summary(own: array<Elements, SLOTS>, count: u32) -> State {
    var squares = part(0.0);
    var products = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        squares += select(part(0.0), own[k].x * own[k].x, k < count);
        products += select(part(0.0), own[k].g * own[k].x, k < count);
    }
    return State(sum_of(squares), sum_of(products));
}

fn combine(a: State, b: State) -> State {
    return State(a.squares + b.squares, a.products + b.products);
}

fn statistics(row: State) -> State {
    let n = f32(uniforms.n);
    let r = inverseSqrt(row.squares / n + uniforms.epsilon);
    return State(r, row.products / n * r * r);
}

fn result(own: Elements, row: State) -> part {
    return row.squares * (own.g - own.x * row.products);
}
