// State of softmax and log_softmax: the largest element, and the sum of exp(x - largest).
//
// The largest element starts at the smallest number, not at -infinity, whose difference from itself is NaN; so a row of
//   -infinity has the sum 0. NaN and infinity make the sum NaN.

struct State {
    largest: f32,
    sum: f32,
}

fn identity() -> State {
    return State(-3.4028234663852886e38, 0.0);
}

fn summary(own: array<Elements, SLOTS>, count: u32) -> State {
    var largest = part(-3.4028234663852886e38);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        largest = max(largest, own[k].x);
    }
    let top = max_of(largest);
    var sum = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        sum += select(part(0.0), exp(own[k].x - top), k < count);
    }
    return State(top, sum_of(sum));
}

fn combine(a: State, b: State) -> State {
    let difference = a.largest - b.largest;
    let scale = exp(-abs(difference));
    let sum = select(b.sum + a.sum * scale, a.sum + b.sum * scale, difference >= 0.0);
    return State(max(a.largest, b.largest), sum);
}
