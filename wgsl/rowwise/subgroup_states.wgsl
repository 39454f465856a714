// The state of a row, combined of those of its LANES threads: by shuffles within each subgroup, then, where a row has
//   several subgroups, through workgroup memory by every subgroup for itself: two barriers.
//
// Subgroups may have any size from 4 on, which is the smallest LANES. `place` is that of the thread in its subgroup.

var<workgroup> kept: array<f32, KEPT>;

fn combined(mine: State, place: u32, size: u32, subgroup: u32, subgroups: u32) -> State {
    var state = mine;
    for (var mask = 1u; mask < min(size, LANES); mask <<= 1u) {
        state = combine(state, shuffled(state, mask));
    }
    if (LANES == THREADS) {
        if (place == 0u) {
            keep(subgroup, state);
        }
        workgroupBarrier();
        state = identity();
        let across = min(size, subgroups);
        for (var i = place % across; i < subgroups; i += across) {
            state = combine(state, kept_state(i));
        }
        for (var mask = 1u; mask < across; mask <<= 1u) {
            state = combine(state, shuffled(state, mask));
        }
        workgroupBarrier();  // `kept` is reused for the next row.
    }
    return state;
}
