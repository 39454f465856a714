// rms_norm: out = x / sqrt(mean(x^2) + epsilon) * weight.
//
// After `statistics`, `squares` is 1 / sqrt(mean(x^2) + epsilon).

struct State {
    squares: f32,
}

fn identity() -> State {
    return State(0.0);
}

fn summary(own: array<Elements, SLOTS>, count: u32) -> State {
    var squares = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        squares += select(part(0.0), own[k].x * own[k].x, k < count);
    }
    return State(sum_of(squares));
}

fn combine(a: State, b: State) -> State {
    return State(a.squares + b.squares);
}

fn statistics(row: State) -> State {
    return State(inverseSqrt(row.squares / f32(uniforms.n) + uniforms.epsilon));
}

fn result(own: Elements, row: State, weight: part) -> part {
    return own.x * row.squares * weight;
}
