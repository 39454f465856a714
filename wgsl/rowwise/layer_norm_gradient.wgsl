// layer_norm_gradient: out = r * (g - mean(g) - z * mean(g * z)), where r = 1 / sqrt(variance of x + epsilon),
//   z = (x - mean(x)) * r, and g is the gradient of layer_norm's result times the weight.
//
// One reduction: the moments of x as in moments.wgsl, the mean of g, and the sum of the products of their differences
//   from their means, which are combined in the same way. After `statistics`, `squares` is r, and `products` is
//   r^2 * mean(g * (x - mean(x))).

struct State {
    count: f32,
    mean: f32,
    squares: f32,
    mean_g: f32,
    products: f32,
}

fn identity() -> State {
    return State(0.0, 0.0, 0.0, 0.0, 0.0);
}

fn summary(own: array<Elements, SLOTS>, count: u32) -> State {
    let numbers = f32(min(count, SLOTS) * WIDTH);
    var sum = part(0.0);
    var sum_g = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        sum += select(part(0.0), own[k].x, k < count);
        sum_g += select(part(0.0), own[k].g, k < count);
    }
    let mean = sum_of(sum) / max(numbers, 1.0);
    let mean_g = sum_of(sum_g) / max(numbers, 1.0);
    var squares = part(0.0);
    var products = part(0.0);
    for (var k = 0u; k < SLOTS; k++) { // unroll
        let difference = own[k].x - mean;
        squares += select(part(0.0), difference * difference, k < count);
        products += select(part(0.0), difference * (own[k].g - mean_g), k < count);
    }
    return State(numbers, mean, sum_of(squares), mean_g, sum_of(products));
}

fn combine(a: State, b: State) -> State {
    let count = a.count + b.count;
    let difference = b.mean - a.mean;
    let difference_g = b.mean_g - a.mean_g;
    let share = b.count / max(count, 1.0);
    return State(
        count,
        a.mean + difference * share,
        a.squares + b.squares + difference * difference * (a.count * share),
        a.mean_g + difference_g * share,
        a.products + b.products + difference * difference_g * (a.count * share),
    );
}

fn statistics(row: State) -> State {
    let r = inverseSqrt(row.squares / row.count + uniforms.epsilon);
    return State(row.count, row.mean, r, row.mean_g, row.products / row.count * r * r);
}

fn result(own: Elements, row: State) -> part {
    return row.squares * (own.g - row.mean_g - (own.x - row.mean) * row.products);
}
