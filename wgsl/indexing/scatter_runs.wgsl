// scatter_runs: sums of runs of equal keys, in chunks of positions; one thread per chunk and column.
//
// out[o, key, q] = sum of x[o, row_at(p), q] over the positions p with this key, for runs that begin and end within a chunk. The
//   first and the last run of a chunk may go on beyond it: their keys and sums are positions of the next pass, which has the
//   same order. In the last pass, which has one chunk, all runs go to `out`. Keys of `rows` or more are of no row.
//
// Layout: keys are sorted. A column is an o and a q: x is (outer, n, inner) from x_at on, row-major, and out (outer, rows, inner),
//   which has zeros; partial_sums are (2 * chunks, columns), partial_keys (2 * chunks).
// Dispatch: (ceil(chunks * width / 256), ceil(columns / width), 1), each at most max groups; grid-stride loops.
// Workgroup: 256 threads, for `width` columns of 256 / width chunks; no workgroup memory.
// Appended: elem, the type of x; the bindings; row_at(p), the row of x at position p.

const CHUNK: u32 = 32u;

struct Uniforms {
    n: u32,
    chunks: u32,
    columns: u32,
    inner: u32,
    rows: u32,
    x_at: u32,
    x_outer: u32,  // Elements of x from an o to the next.
    width: u32,
    is_last: u32,
}

fn store(key: u32, column: u32, sum: f32) {
    if (key < uniforms.rows) {
        let o = column / uniforms.inner;
        out[(o * uniforms.rows + key) * uniforms.inner + column % uniforms.inner] = sum;
    }
}

fn pass_on(slot: u32, key: u32, column: u32, sum: f32) {
    partial_sums[slot * uniforms.columns + column] = sum;
    if (column == 0u) {
        partial_keys[slot] = key;
    }
}

fn add_up(chunk: u32, column: u32) {
    let start = chunk * CHUNK;
    let end = min(start + CHUNK, uniforms.n);
    let x_at = uniforms.x_at + column / uniforms.inner * uniforms.x_outer + column % uniforms.inner;
    var key = keys[start];
    var sum = 0.0;
    var is_first = true;
    for (var p = start; p < end; p++) {
        let next = keys[p];
        if (next != key) {
            if (is_first && uniforms.is_last == 0u) {
                pass_on(2u * chunk, key, column, sum);
            } else {
                store(key, column, sum);
            }
            is_first = false;
            key = next;
            sum = 0.0;
        }
        sum += f32(x[x_at + row_at(p) * uniforms.inner]);
    }
    if (uniforms.is_last == 1u) {
        store(key, column, sum);
        return;
    }
    if (is_first) {
        pass_on(2u * chunk, key, column, sum);
        sum = 0.0;  // Every chunk passes two runs on.
    }
    pass_on(2u * chunk + 1u, key, column, sum);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let each = 256u / uniforms.width;
    for (var y = group.y; y * uniforms.width < uniforms.columns; y += groups.y) {
        let column = y * uniforms.width + local_index % uniforms.width;
        for (var at = group.x * each; at < uniforms.chunks; at += groups.x * each) {
            let chunk = at + local_index / uniforms.width;
            if (chunk < uniforms.chunks && column < uniforms.columns) {
                add_up(chunk, column);
            }
        }
    }
}
