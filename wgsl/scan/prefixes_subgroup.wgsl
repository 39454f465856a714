// prefixes: what comes before each value of a workgroup, with subgroup operations. Included by rows.wgsl.
//
// Order: values[0] of all threads, then values[1] of all threads, and so on.
// A subgroup has consecutive threads: so it is on Vulkan, Metal and D3D for workgroups of one dimension. Any size from 4 on.
// Workgroup memory: VECS * THREADS / 4 totals, one of each subgroup's vecs. Two barriers.
// Needs the feature "subgroup". SUBGROUP_INCLUSIVE and SUBGROUP_EXCLUSIVE stand for the operations that combine.

struct Prefixes {
    before: array<total, VECS>,
    all: total,
}

var<workgroup> subgroup_totals: array<total, VECS * THREADS / 4u>;

fn prefixes(values: array<total, VECS>, t: u32) -> Prefixes {
    var own = values;
    var found = Prefixes(values, identity());
    let lanes = subgroupAdd(1u);
    let subgroups = THREADS / lanes;
    let subgroup = t / lanes;
    for (var v = 0u; v < VECS; v++) { // unroll
        let inclusive = SUBGROUP_INCLUSIVE(own[v]);
        found.before[v] = SUBGROUP_EXCLUSIVE(own[v]);
        if (t % lanes == lanes - 1u) {
            subgroup_totals[v * subgroups + subgroup] = inclusive;
        }
    }
    workgroupBarrier();
    for (var v = 0u; v < VECS; v++) { // unroll
        for (var s = 0u; s < subgroups; s++) {
            if (s == subgroup) {
                found.before[v] = combine(found.all, found.before[v]);
            }
            found.all = combine(found.all, subgroup_totals[v * subgroups + s]);
        }
    }
    workgroupBarrier();  // `subgroup_totals` is reused by the next call.
    return found;
}
