// softmax: out = exp(x - largest) / sum(exp(x - largest)); 0 where the sum is 0.
//
// State: that of exponentials.wgsl. After `statistics`, `sum` is the reciprocal of the sum, or 0.

fn statistics(row: State) -> State {
    return State(row.largest, select(1.0 / row.sum, 0.0, row.sum == 0.0));
}

fn result(own: Elements, row: State) -> part {
    return exp(own.x - row.largest) * row.sum;
}
