// State of layer_norm: how many elements, their mean, and the sum of the squares of their differences from it.
//
// The mean and the squares of a thread's elements come from two passes over registers; states are combined as by Chan,
//   Golub and LeVeque (1983), equation 2.1. Nothing cancels, whatever the mean is.

struct State {
    count: f32,
    mean: f32,
    squares: f32,
}

fn identity() -> State {
    return State(0.0, 0.0, 0.0);
}

fn summary(own: array<Elements, SLOTS>, count: u32) -> State {
    let numbers = f32(min(count, SLOTS) * WIDTH);
    var sum = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        sum += select(part(0.0), own[k].x, k < count);
    }
    let mean = sum_of(sum) / max(numbers, 1.0);
    var squares = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        let difference = own[k].x - mean;
        squares += select(part(0.0), difference * difference, k < count);
    }
    return State(numbers, mean, sum_of(squares));
}

fn combine(a: State, b: State) -> State {
    let count = a.count + b.count;
    let difference = b.mean - a.mean;
    let share = b.count / max(count, 1.0);
    return State(
        count,
        a.mean + difference * share,
        a.squares + b.squares + difference * difference * (a.count * share),
    );
}
