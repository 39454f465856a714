// log_softmax: out = x - largest - log(sum(exp(x - largest))). A row of -infinity stays as it is.
//
// State: that of exponentials.wgsl. After `statistics`, `sum` is the logarithm of the sum, or 0.

fn statistics(row: State) -> State {
    return State(row.largest, select(log(row.sum), 0.0, row.sum == 0.0));
}

fn result(own: Elements, row: State) -> part {
    return own.x - row.largest - row.sum;
}
