// columns: c[m, n] = sum_k a[m, k] * b[k, n] for few rows; b's rows lie in memory one by one. Bound by reading b.
// A workgroup computes ROWS rows by 4 * LANES_N columns of c. A thread owns four columns, reads 4 * STEPS rows of
// them at once, so that as many loads are on their way, and goes on CHUNK = 4 * LANES_K * STEPS rows further;
// at the end the sums of the LANES_K threads of each column are added through workgroup memory.
// Dispatch (ceil(cols / (4 * LANES_N)), ceil(rows / ROWS), products * splits);
// dims.wgsl says over what. Workgroup memory SHARED * THREADS * 16 bytes, for SHARED rows at a time.
// Loop steps of a thread: depth / CHUNK, rounded down, and at most STEPS more.
//
// B_FOURS reads b by fours along n, A_FOURS a along k; else any strides will do.
// What lies beyond m, n and the part of k is never read, nor stored: indices move to the last one inside.
// Appended: the constants named here; dims.wgsl; and the functions that read and write the buffers, a and b by fours
// where A_FOURS and B_FOURS say so. ROWS, SHARED <= LANES_K and SHARED divides ROWS.

var<workgroup> part: array<vec4<f32>, SHARED * THREADS>;

// Rows of b between those of neighbouring threads, of neighbouring steps, and of one loop step and the next.
const STEP: u32 = 4u * LANES_K;
const CHUNK: u32 = STEPS * STEP;

// Four numbers along k; zeros take the place of those from `count` on.
fn a_load(at: u32, count: u32) -> vec4<f32> {
    if (A_FOURS) {
        return a_four(at);
    }
    let steps = min(vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * dims.a_col;
    let values = vec4(a_one(at), a_one(at + steps.y), a_one(at + steps.z), a_one(at + steps.w));
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}

fn b_load(at: u32, places: vec4<u32>) -> vec4<f32> {
    if (B_FOURS) {
        return b_four(at + places.x);
    }
    return vec4(b_one(at + places.x), b_one(at + places.y), b_one(at + places.z), b_one(at + places.w));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let lane_n = t % LANES_N;
    let lane_k = t / LANES_N;
    let product = group.z / dims.splits;
    let begin = dims.k0 + group.z % dims.splits * dims.depth;
    let end = begin + min(dims.depth, dims.k1 - min(begin, dims.k1));
    let whole = begin + (end - begin) / CHUNK * CHUNK;

    // Neighbours read neighbours: fours of columns, or one column each, four times.
    let row0 = dims.row0 + group.y * ROWS;
    let col0 = dims.col0 + group.x * 4u * LANES_N;
    let cols = col0 + select(lane_n + LANES_N * vec4(0u, 1u, 2u, 3u), 4u * lane_n + vec4(0u, 1u, 2u, 3u), B_FOURS);
    let places = min(cols, vec4(dims.n - 1u)) * dims.b_col;
    var a_rows = array<u32, ROWS>();
    for (var i = 0u; i < ROWS; i++) { // unroll
        a_rows[i] = min(row0 + i, dims.m - 1u) * dims.a_row;
    }
    let a_start = dims.a_at + product * dims.a_step;
    let b_start = dims.b_at + product * dims.b_step;
    var a_from = a_start + (begin + 4u * lane_k) * dims.a_col;
    var b_from = b_start + (begin + 4u * lane_k) * dims.b_row;

    var sum = array<vec4<f32>, ROWS>();
    for (var k = begin; k < whole; k += CHUNK) {
        var b_part = array<vec4<f32>, 4u * STEPS>();
        for (var step = 0u; step < STEPS; step++) { // unroll
            for (var r = 0u; r < 4u; r++) { // unroll
                b_part[4u * step + r] = b_load(b_from + (step * STEP + r) * dims.b_row, places);
            }
        }
        for (var step = 0u; step < STEPS; step++) { // unroll
            for (var i = 0u; i < ROWS; i++) { // unroll
                let a_part = a_load(a_from + a_rows[i] + step * STEP * dims.a_col, 4u);
                for (var r = 0u; r < 4u; r++) { // unroll
                    sum[i] = fma(vec4(a_part[r]), b_part[4u * step + r], sum[i]);
                }
            }
        }
        a_from += CHUNK * dims.a_col;
        b_from += CHUNK * dims.b_row;
    }
    for (var k = whole + 4u * lane_k; k < end; k += STEP) {
        let count = min(4u, end - k);
        var b_part = array<vec4<f32>, 4>();
        for (var r = 0u; r < 4u; r++) { // unroll
            let b_row = b_load(b_start + (k + min(r, count - 1u)) * dims.b_row, places);
            b_part[r] = select(vec4(0.0), b_row, r < count);
        }
        for (var i = 0u; i < ROWS; i++) { // unroll
            let a_part = a_load(a_start + a_rows[i] + k * dims.a_col, count);
            for (var r = 0u; r < 4u; r++) { // unroll
                sum[i] = fma(vec4(a_part[r]), b_part[r], sum[i]);
            }
        }
    }

    let c_start = dims.c_at + group.z * dims.c_step;
    for (var turn = 0u; turn < ROWS / SHARED; turn++) { // unroll
        if (turn > 0u) {
            workgroupBarrier();
        }
        for (var i = 0u; i < SHARED; i++) { // unroll
            part[i * THREADS + t] = sum[turn * SHARED + i];
        }
        workgroupBarrier();
        // A row of this turn for each of the first lanes along k.
        let row = row0 + turn * SHARED + lane_k;
        if (lane_k < SHARED && row < dims.m) {
            var total = vec4(0.0);
            for (var lane = 0u; lane < LANES_K; lane++) { // unroll
                total += part[lane_k * THREADS + lane * LANES_N + lane_n];
            }
            for (var j = 0u; j < 4u; j++) { // unroll
                if (cols[j] < dims.n) {
                    let of_bias = select(cols[j], row, dims.bias_by_row == 1u);
                    c_one(c_start + row * dims.c_row + cols[j] * dims.c_col, of_bias, total[j]);
                }
            }
        }
    }
}
