// layer_norm: out = (x - mean) / sqrt(variance + epsilon) * weight + bias.
//
// State: that of moments.wgsl. After `statistics`, `squares` is 1 / sqrt(variance + epsilon).

fn statistics(row: State) -> State {
    return State(row.count, row.mean, inverseSqrt(row.squares / row.count + uniforms.epsilon));
}

fn result(own: Elements, row: State, weight: part, bias: part) -> part {
    return (own.x - row.mean) * row.squares * weight + bias;
}
