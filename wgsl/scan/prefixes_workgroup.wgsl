// prefixes: what comes before each value of a workgroup, in workgroup memory. Included by rows.wgsl.
//
// Order: values[0] of all threads, then values[1] of all threads, and so on. A thread combines VECS values that are
// neighbours in this order; the totals of the threads are scanned in log2(THREADS) steps (Hillis and Steele 1986).
// Workgroup memory: (VECS + 2) * THREADS totals. log2(THREADS) + 3 barriers.

struct Prefixes {
    before: array<total, VECS>,
    all: total,
}

var<workgroup> all_values: array<total, VECS * THREADS>;
var<workgroup> scanned_totals: array<total, 2u * THREADS>;

fn prefixes(values: array<total, VECS>, t: u32) -> Prefixes {
    var own = values;
    var found = Prefixes(values, identity());
    for (var v = 0u; v < VECS; v++) { // unroll
        all_values[v * THREADS + t] = own[v];
    }
    workgroupBarrier();
    var sum = identity();
    for (var v = 0u; v < VECS; v++) { // unroll
        own[v] = sum;
        sum = combine(sum, all_values[VECS * t + v]);
    }
    scanned_totals[t] = sum;
    var from_at = 0u;
    for (var distance = 1u; distance < THREADS; distance <<= 1u) {
        workgroupBarrier();
        if (t >= distance) {
            sum = combine(scanned_totals[from_at + t - distance], sum);
        }
        from_at = THREADS - from_at;
        scanned_totals[from_at + t] = sum;
    }
    workgroupBarrier();
    var before = identity();
    if (t > 0u) {
        before = scanned_totals[from_at + t - 1u];
    }
    found.all = scanned_totals[from_at + THREADS - 1u];
    for (var v = 0u; v < VECS; v++) { // unroll
        all_values[VECS * t + v] = combine(before, own[v]);
    }
    workgroupBarrier();
    for (var v = 0u; v < VECS; v++) { // unroll
        found.before[v] = all_values[v * THREADS + t];
    }
    return found;
}
