// rows: out[o, j] = reduction of row o of x over the chunk j * chunk <= i < min(n, (j + 1) * chunk).
//
// Layout: element i of row o is where wgsl/reduce/uniforms.wgsl says, with inner = 1; out is (rows, width), row-major.
// Dispatch: (ceil(rows / ROWS), width, 1), each at most max groups; grid-stride loops.
// Workgroup: ROWS * ROW_THREADS threads, ROW_THREADS of them for a row. A thread loads four elements at a time, and four
//   such fours before it combines them. A four is one vec4, or single elements ROW_THREADS apart:
//
//     STEP = 1            t0 t0 t0 t0 t1 t1 t1 t1 ...
//     STEP = ROW_THREADS  t0 t1 t2 t3 ... t0 t1 t2 t3 ...
//
// Workgroup memory: that of across().
// Appended: what wgsl/reduce/uniforms.wgsl lists; ROWS, ROW_THREADS, STEP; head(row), the number of elements before the first
//   whole vec4; four(row, i) -> Four, the elements i, i + STEP, i + 2 * STEP and i + 3 * STEP;
//   of_sixteen(a, b, c, d, i) -> Total of four fours; across(mine, local_index) -> Total of all threads of a row, valid in the
//   first of them.

// What thread t of a row reduces of start <= i < end.
fn reduced(row: Row, start: u32, end: u32, t: u32) -> Total {
    var mine = identity();
    let first = min(start + head(row), end);
    for (var i = start + t; i < first; i += ROW_THREADS) {
        mine = append(mine, one(element(row, i), i));
    }
    var i = first + t * select(1u, 4u, STEP == 1u);
    for (; i + 12u * ROW_THREADS + 3u * STEP < end; i += 16u * ROW_THREADS) {
        let a = four(row, i);
        let b = four(row, i + 4u * ROW_THREADS);
        let c = four(row, i + 8u * ROW_THREADS);
        let d = four(row, i + 12u * ROW_THREADS);
        mine = append(mine, of_sixteen(a, b, c, d, i));
    }
    for (; i + 3u * STEP < end; i += 4u * ROW_THREADS) {
        mine = append(mine, of_four(four(row, i), i, STEP));
    }
    for (; i < end; i += STEP) {  // Fewer than four are left.
        mine = append(mine, one(element(row, i), i));
    }
    return mine;
}

@compute @workgroup_size(ROWS * ROW_THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let t = local_index % ROW_THREADS;
    for (var j = group.y; j < uniforms.width; j += groups.y) {
        let start = j * uniforms.chunk;
        let end = min(uniforms.n, start + uniforms.chunk);
        for (var rows = group.x * ROWS; rows < uniforms.count; rows += groups.x * ROWS) {
            let o = rows + local_index / ROW_THREADS;
            var mine = identity();
            if (o < uniforms.count) {
                mine = reduced(row_at(o, 0u), start, end, t);
            }
            let all = across(mine, local_index);
            if (t == 0u && o < uniforms.count) {
                store(o * uniforms.width + j, all);
            }
            workgroupBarrier();  // across() uses its memory again for the next rows.
        }
    }
}
