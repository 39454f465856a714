// subgroups: across() for wgsl/reduce/rows.wgsl by shuffles within subgroups of any size from 4 to 128 threads, then of the
//   subgroups' totals.
//
// Threads of a subgroup are neighbours by local_index. ROW_THREADS is a power of two.
// Workgroup memory: a total per four threads, the smallest subgroup; none is used by rows of up to four threads.
// Appended: shuffled(x, id) -> Total, that of another thread of the subgroup.

var<workgroup> parts: array<Total, ROWS * ROW_THREADS / 4u>;

// The total of `count` neighbouring threads, a power of two; of a whole subgroup where that has fewer.
fn across_lanes(mine: Total, lane: u32, lanes: u32, count: u32) -> Total {
    var all = mine;
    for (var step = 0u; step < 7u; step++) { // unroll
        const distance = 1u << step;
        // All threads take part in each shuffle; beyond the subgroup's size, with themselves.
        let other = shuffled(all, (lane ^ distance) & (lanes - 1u));
        if (distance < min(count, lanes)) {
            all = combine(all, other);
        }
    }
    return all;
}

fn across(mine: Total, local_index: u32) -> Total {
    let lanes = subgroupAdd(1u);
    let lane = subgroupExclusiveAdd(1u);
    if (ROW_THREADS <= 4u) {  // The threads of a row are in one subgroup.
        return across_lanes(mine, lane, lanes, ROW_THREADS);
    }
    let span = min(lanes, ROW_THREADS);
    let all = across_lanes(mine, lane, lanes, span);
    if (local_index % span == 0u) {
        parts[local_index / span] = all;
    }
    workgroupBarrier();
    // The totals of a row's subgroups, in its first subgroup.
    let t = local_index % ROW_THREADS;
    let first = (local_index - t) / span;
    var rest = identity();
    for (var part = t; part < ROW_THREADS / span; part += span) {
        rest = combine(rest, parts[first + part]);
    }
    return across_lanes(rest, lane, lanes, span);
}
