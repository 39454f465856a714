// dots: c[m, n] = sum_k a[m, k] * b[k, n] for few rows; b's columns lie in memory one by one. Bound by reading b.
// A workgroup computes ROWS rows by LANES_N * COLS columns of c: LANES_K threads share the sums of COLS columns,
// LANES_N apart. A thread reads 4 * STEPS rows of each of its columns at once, so that COLS * STEPS loads are on
// their way, and goes on CHUNK = 4 * LANES_K * STEPS rows further; at the end the LANES_K sums of each element
// are added through workgroup memory, by one thread from 32 on.
// Dispatch (ceil(cols / (LANES_N * COLS)), ceil(rows / ROWS), products * splits);
// dims.wgsl says over what. Workgroup memory SHARED * THREADS * 4 bytes, for SHARED sums of each thread at a time.
// Loop steps of a thread: depth / CHUNK, rounded down, at most STEPS more, and those of the halving:
// log2(LANES_K / 32) for each of ROWS * COLS / SHARED rounds where LANES_K is more than 32, else none.
//
// B_FOURS reads b by fours along k, and A_FOURS a; else any strides will do.
// What lies beyond m, n and the part of k is never read, nor stored: indices move to the last one inside.
// Appended: the constants named here; dims.wgsl; and the functions that read and write the buffers, a and b by fours
// where A_FOURS and B_FOURS say so. SHARED <= LANES_K and SHARED divides ROWS * COLS;
// LANES_K is a power of two, and LAST the smaller of it and 32.

var<workgroup> part: array<f32, SHARED * THREADS>;

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

fn b_load(at: u32, count: u32) -> vec4<f32> {
    if (B_FOURS) {
        return b_four(at);
    }
    let steps = min(vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * dims.b_row;
    let values = vec4(b_one(at), b_one(at + steps.y), b_one(at + steps.z), b_one(at + steps.w));
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let lane_k = t % LANES_K;
    let lane_n = t / LANES_K;
    let product = group.z / dims.splits;
    let begin = dims.k0 + group.z % dims.splits * dims.depth;
    let end = begin + min(dims.depth, dims.k1 - min(begin, dims.k1));
    let whole = begin + (end - begin) / CHUNK * CHUNK;

    let row0 = dims.row0 + group.y * ROWS;
    let col0 = dims.col0 + group.x * LANES_N * COLS;
    var a_rows = array<u32, ROWS>();
    for (var i = 0u; i < ROWS; i++) { // unroll
        a_rows[i] = min(row0 + i, dims.m - 1u) * dims.a_row;
    }
    var b_cols = array<u32, COLS>();
    for (var j = 0u; j < COLS; j++) { // unroll
        b_cols[j] = min(col0 + j * LANES_N + lane_n, dims.n - 1u) * dims.b_col;
    }
    let a_start = dims.a_at + product * dims.a_step;
    let b_start = dims.b_at + product * dims.b_step;
    var a_from = a_start + (begin + 4u * lane_k) * dims.a_col;
    var b_from = b_start + (begin + 4u * lane_k) * dims.b_row;

    var sum = array<f32, ROWS * COLS>();
    for (var k = begin; k < whole; k += CHUNK) {
        var b_part = array<vec4<f32>, STEPS * COLS>();
        for (var step = 0u; step < STEPS; step++) { // unroll
            for (var j = 0u; j < COLS; j++) { // unroll
                b_part[step * COLS + j] = b_load(b_from + b_cols[j] + step * STEP * dims.b_row, 4u);
            }
        }
        for (var step = 0u; step < STEPS; step++) { // unroll
            for (var i = 0u; i < ROWS; i++) { // unroll
                let a_part = a_load(a_from + a_rows[i] + step * STEP * dims.a_col, 4u);
                for (var j = 0u; j < COLS; j++) { // unroll
                    sum[i * COLS + j] = added(a_part, b_part[step * COLS + j], sum[i * COLS + j]);
                }
            }
        }
        a_from += CHUNK * dims.a_col;
        b_from += CHUNK * dims.b_row;
    }
    for (var k = whole + 4u * lane_k; k < end; k += STEP) {
        let count = min(4u, end - k);
        var b_part = array<vec4<f32>, COLS>();
        for (var j = 0u; j < COLS; j++) { // unroll
            b_part[j] = b_load(b_start + b_cols[j] + k * dims.b_row, count);
        }
        for (var i = 0u; i < ROWS; i++) { // unroll
            let a_part = a_load(a_start + a_rows[i] + k * dims.a_col, count);
            for (var j = 0u; j < COLS; j++) { // unroll
                sum[i * COLS + j] = added(a_part, b_part[j], sum[i * COLS + j]);
            }
        }
    }

    let c_start = dims.c_at + group.z * dims.c_step;
    for (var turn = 0u; turn < ROWS * COLS / SHARED; turn++) { // unroll
        if (turn > 0u) {
            workgroupBarrier();
        }
        for (var i = 0u; i < SHARED; i++) { // unroll
            part[i * THREADS + t] = sum[turn * SHARED + i];
        }
        workgroupBarrier();
        for (var width = LANES_K / 2u; width >= LAST; width /= 2u) {
            if (lane_k < width) {
                for (var i = 0u; i < SHARED; i++) { // unroll
                    part[i * THREADS + t] += part[i * THREADS + t + width];
                }
            }
            workgroupBarrier();
        }
        // One of this turn's elements for each of the first threads: of sum t / LANES_N, by lane t % LANES_N along n.
        let element = turn * SHARED + t / LANES_N;
        let row = row0 + element / COLS;
        let col = col0 + element % COLS * LANES_N + t % LANES_N;
        if (t < SHARED * LANES_N && row < dims.m && col < dims.n) {
            var total = 0.0;
            for (var lane = 0u; lane < LAST; lane++) { // unroll
                // Each thread begins elsewhere, and a subgroup meets all banks.
                total += part[t * LANES_K + (lane ^ (t % LAST))];
            }
            let of_bias = select(col, row, dims.bias_by_row == 1u);
            c_one(c_start + row * dims.c_row + col * dims.c_col, of_bias, total);
        }
    }
}

fn added(x: vec4<f32>, y: vec4<f32>, onto: f32) -> f32 {
    return fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, onto))));
}
