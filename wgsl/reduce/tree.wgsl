// tree: across() for wgsl/reduce/rows.wgsl by a tree in workgroup memory.
//
// Workgroup memory: a total per thread.

var<workgroup> parts: array<Total, ROWS * ROW_THREADS>;

fn across(mine: Total, local_index: u32) -> Total {
    parts[local_index] = mine;
    workgroupBarrier();
    for (var distance = ROW_THREADS / 2u; distance > 0u; distance >>= 1u) {
        if (local_index % ROW_THREADS < distance) {
            parts[local_index] = combine(parts[local_index], parts[local_index + distance]);
        }
        workgroupBarrier();
    }
    return parts[local_index];
}
