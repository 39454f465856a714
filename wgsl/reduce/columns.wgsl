// columns: out[o, j, q] = reduction of x[o, i, q] over the chunk j * chunk <= i < min(n, (j + 1) * chunk).
//
// Layout: element i of column q of row o is where wgsl/reduce/uniforms.wgsl says; out is (outer, width, inner), row-major.
// Dispatch: (ceil(inner / (LANES * WIDTH)), width, outer), each at most max groups; grid-stride loops.
// Workgroup: DEPTH * LANES threads, 256 together, as DEPTH rows of LANES threads. A thread reduces every element DEPTH apart of
//   WIDTH neighbouring columns; then one thread a column combines the DEPTH parts:
//
//     q     q + WIDTH    ...
//     t0    t1           t(LANES - 1)        i = start, start + DEPTH, ...
//     t(LANES) ...                           i = start + 1, ...
//
// Workgroup memory: 256 * WIDTH totals.
// Appended: what wgsl/reduce/uniforms.wgsl lists; DEPTH, LANES, WIDTH; load(row, i) -> Items, element i of WIDTH columns, an
//   array or a vector.

const COLUMNS: u32 = LANES * WIDTH;

var<workgroup> parts: array<Total, DEPTH * COLUMNS>;

// What a thread reduces of columns that begin at `row`: of start <= i < end, every element DEPTH apart.
fn reduced(row: Row, start: u32, end: u32) -> array<Total, WIDTH> {
    var mine = array<Total, WIDTH>();
    for (var lane = 0u; lane < WIDTH; lane++) { // unroll
        mine[lane] = identity();
    }
    var i = start;
    for (; i + 3u * DEPTH < end; i += 4u * DEPTH) {
        let a = load(row, i);
        let b = load(row, i + DEPTH);
        let c = load(row, i + 2u * DEPTH);
        let d = load(row, i + 3u * DEPTH);
        for (var lane = 0u; lane < WIDTH; lane++) { // unroll
            mine[lane] = append(mine[lane], of_four(Four(a[lane], b[lane], c[lane], d[lane]), i, DEPTH));
        }
    }
    for (; i < end; i += DEPTH) {
        let a = load(row, i);
        for (var lane = 0u; lane < WIDTH; lane++) { // unroll
            mine[lane] = append(mine[lane], one(a[lane], i));
        }
    }
    return mine;
}

@compute @workgroup_size(DEPTH * LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let blocks = (uniforms.inner + COLUMNS - 1u) / COLUMNS;
    for (var o = group.z; o < uniforms.count; o += groups.z) {
        for (var j = group.y; j < uniforms.width; j += groups.y) {
            let start = j * uniforms.chunk;
            let end = min(uniforms.n, start + uniforms.chunk);
            for (var block = group.x; block < blocks; block += groups.x) {
                let q = block * COLUMNS + (local_index % LANES) * WIDTH;
                // Beyond the last column there is nothing to reduce.
                let mine = reduced(row_at(o, q), start + local_index / LANES, select(0u, end, q < uniforms.inner));
                for (var lane = 0u; lane < WIDTH; lane++) { // unroll
                    parts[local_index * WIDTH + lane] = mine[lane];
                }
                workgroupBarrier();
                let column = block * COLUMNS + local_index;
                if (local_index < COLUMNS && column < uniforms.inner) {
                    var all = parts[local_index];
                    for (var row = 1u; row < DEPTH; row++) {
                        all = combine(all, parts[row * COLUMNS + local_index]);
                    }
                    store((o * uniforms.width + j) * uniforms.inner + column, all);
                }
                workgroupBarrier();  // `parts` is reused for the next block.
            }
        }
    }
}
