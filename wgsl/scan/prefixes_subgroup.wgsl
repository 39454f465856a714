// prefixes: what comes before each value of a workgroup, with subgroup operations. Included by rows.wgsl and
//   sort/scatter.wgsl.
//
// Order: values[0] of all threads, then values[1] of all threads, and so on. Subgroups scan their values, then a thread for
//   each of their VECS * THREADS / size totals combines those before it.
// A subgroup has consecutive threads: so it is on Vulkan, Metal and D3D for workgroups of one dimension. Any size from 4 on.
// Workgroup memory: VECS * THREADS / 4 totals, and one more than as many prefixes. Two barriers.
// Needs the feature "subgroup". SUBGROUP_INCLUSIVE stands for the operation that combines.

struct Prefixes {
    before: array<total, VECS>,
    all: total,
}

var<workgroup> subgroup_totals: array<total, VECS * THREADS / 4u>;
var<workgroup> before_subgroups: array<total, VECS * THREADS / 4u + 1u>;

fn prefixes(values: array<total, VECS>, t: u32) -> Prefixes {
    var own = values;
    var found = Prefixes(values, identity());
    let lanes = subgroupAdd(1u);
    let subgroups = THREADS / lanes;
    let subgroup = t / lanes;
    for (var v = 0u; v < VECS; v++) { // unroll
        let inclusive = SUBGROUP_INCLUSIVE(own[v]);
        let previous = subgroupShuffleUp(inclusive, 1u);
        found.before[v] = select(previous, identity(), t % lanes == 0u);
        if (t % lanes == lanes - 1u) {
            subgroup_totals[v * subgroups + subgroup] = inclusive;
        }
    }
    workgroupBarrier();
    let count = VECS * subgroups;
    if (t < count) {
        var sum = identity();
        for (var s = 0u; s < t; s++) {
            sum = combine(sum, subgroup_totals[s]);
        }
        before_subgroups[t] = sum;
        if (t == count - 1u) {
            before_subgroups[count] = combine(sum, subgroup_totals[t]);
        }
    }
    workgroupBarrier();
    for (var v = 0u; v < VECS; v++) { // unroll
        found.before[v] = combine(before_subgroups[v * subgroups + subgroup], found.before[v]);
    }
    found.all = before_subgroups[count];
    return found;
}
