// gemv_t: c[m, n] = sum_k a[m, k] * b[k, n] for few rows of a; b is contiguous along k. Bound by reading b.
//
// Layout: B_VEC4 loads vec4s of b along k, and A_VEC4 vec4s of a along k; without them any strides work.
// Dispatch: (ceil(cols / (LANES_N * COLS)), ceil(rows / ROWS), products * split_k); uniforms.wgsl defines the region.
// Workgroup: LANES_N x LANES_K threads compute ROWS rows by LANES_N * COLS columns of c.
// Thread: the partial sums of ROWS rows by COLS columns, LANES_N apart, as dot products of vec4s. It loads UNROLL_K
//   vec4s of each column at once, to keep COLS * UNROLL_K loads in flight, then advances by CHUNK_K. At the end, the
//   partial sums of the LANES_K threads of an element are added.
//
//   b^T       k ->   lane_k 0   lane_k 1   ...
//   col 0   lane_n 0 | k 0..3   | k 4..7   |           a thread multiplies a vec4 of b by ROWS vec4s of a,
//   col 1   lane_n 1 | k 0..3   | k 4..7   |           COLS times, LANES_N columns apart, and
//   ...              |          |          |           UNROLL_K times, STEP_K rows of b apart
//
// Workgroup memory: ROUND_SUMS * THREADS * 4 bytes, for ROUND_SUMS partial sums of each thread at a time.
// Loop iterations of a thread: k_per_split / CHUNK_K, rounded down, at most UNROLL_K more, and those of the tree
//   reduction: log2(LANES_K / 32) in each of ROWS * COLS / ROUND_SUMS rounds where LANES_K exceeds 32, else none.
// Bounds: indices beyond m, n and the k range are clamped to the last valid one; stores are guarded.
// Appended: ROWS, COLS, LANES_N, LANES_K (a power of two), UNROLL_K, THREADS (LANES_N * LANES_K);
//   ROUND_SUMS <= LANES_K, which divides ROWS * COLS; SERIAL_LANES = min(LANES_K, 32); A_VEC4, B_VEC4; Uniforms; and the
//   functions of access.py: load_a, load_a_vec4, load_b, load_b_vec4, store_c.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

var<workgroup> partials: array<f32, ROUND_SUMS * THREADS>;

// Rows of b between two loads of a thread, and between two iterations of its loop.
const STEP_K: u32 = 4u * LANES_K;
const CHUNK_K: u32 = UNROLL_K * STEP_K;

// Four elements along k; zero from element `count` on.
fn load_a_k4(index: u32, count: u32) -> vec4<f32> {
    if (A_VEC4) {
        return load_a_vec4(index);
    }
    let steps = min(vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * uniforms.a_col_stride;
    let values = vec4(load_a(index), load_a(index + steps.y), load_a(index + steps.z), load_a(index + steps.w));
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}

fn load_b_k4(index: u32, count: u32) -> vec4<f32> {
    if (B_VEC4) {
        return load_b_vec4(index);
    }
    let steps = min(vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * uniforms.b_row_stride;
    let values = vec4(load_b(index), load_b(index + steps.y), load_b(index + steps.z), load_b(index + steps.w));
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    // Find the k range
    let lane_k = t % LANES_K;
    let lane_n = t / LANES_K;
    let product = group.z / uniforms.split_k;
    let k0 = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = k0 + min(uniforms.k_per_split, uniforms.k1 - min(k0, uniforms.k1));
    let k1_chunks = k0 + (k1 - k0) / CHUNK_K * CHUNK_K;

    // Find the block
    let row0 = uniforms.row0 + group.y * ROWS;
    let col0 = uniforms.col0 + group.x * LANES_N * COLS;
    var a_rows = array<u32, ROWS>();
    for (var i = 0u; i < ROWS; i++) { // unroll
        a_rows[i] = min(row0 + i, uniforms.m - 1u) * uniforms.a_row_stride;
    }
    var b_cols = array<u32, COLS>();
    for (var j = 0u; j < COLS; j++) { // unroll
        b_cols[j] = min(col0 + j * LANES_N + lane_n, uniforms.n - 1u) * uniforms.b_col_stride;
    }
    let a_start = uniforms.a_offset + product * uniforms.a_batch_stride;
    let b_start = uniforms.b_offset + product * uniforms.b_batch_stride;
    var a_index = a_start + (k0 + 4u * lane_k) * uniforms.a_col_stride;
    var b_index = b_start + (k0 + 4u * lane_k) * uniforms.b_row_stride;

    // Main loop: whole chunks, no bounds checks along k
    var acc = array<f32, ROWS * COLS>();
    for (var k = k0; k < k1_chunks; k += CHUNK_K) {
        var b_values = array<vec4<f32>, UNROLL_K * COLS>();
        for (var step = 0u; step < UNROLL_K; step++) { // unroll
            for (var j = 0u; j < COLS; j++) { // unroll
                b_values[step * COLS + j] = load_b_k4(b_index + b_cols[j] + step * STEP_K * uniforms.b_row_stride, 4u);
            }
        }
        for (var step = 0u; step < UNROLL_K; step++) { // unroll
            for (var i = 0u; i < ROWS; i++) { // unroll
                let a_values = load_a_k4(a_index + a_rows[i] + step * STEP_K * uniforms.a_col_stride, 4u);
                for (var j = 0u; j < COLS; j++) { // unroll
                    acc[i * COLS + j] = dot_acc(a_values, b_values[step * COLS + j], acc[i * COLS + j]);
                }
            }
        }
        a_index += CHUNK_K * uniforms.a_col_stride;
        b_index += CHUNK_K * uniforms.b_row_stride;
    }
    // K tail
    for (var k = k1_chunks + 4u * lane_k; k < k1; k += STEP_K) {
        let count = min(4u, k1 - k);
        var b_values = array<vec4<f32>, COLS>();
        for (var j = 0u; j < COLS; j++) { // unroll
            b_values[j] = load_b_k4(b_start + b_cols[j] + k * uniforms.b_row_stride, count);
        }
        for (var i = 0u; i < ROWS; i++) { // unroll
            let a_values = load_a_k4(a_start + a_rows[i] + k * uniforms.a_col_stride, count);
            for (var j = 0u; j < COLS; j++) { // unroll
                acc[i * COLS + j] = dot_acc(a_values, b_values[j], acc[i * COLS + j]);
            }
        }
    }

    // Reduction over the lanes along k, and epilogue: ROUND_SUMS partial sums of each thread at a time
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    for (var round = 0u; round < ROWS * COLS / ROUND_SUMS; round++) { // unroll
        if (round > 0u) {
            workgroupBarrier();
        }
        for (var i = 0u; i < ROUND_SUMS; i++) { // unroll
            partials[i * THREADS + t] = acc[round * ROUND_SUMS + i];
        }
        workgroupBarrier();
        // By a tree down to SERIAL_LANES lanes.
        for (var width = LANES_K / 2u; width >= SERIAL_LANES; width /= 2u) {
            if (lane_k < width) {
                for (var i = 0u; i < ROUND_SUMS; i++) { // unroll
                    partials[i * THREADS + t] += partials[i * THREADS + t + width];
                }
            }
            workgroupBarrier();
        }
        // Then serially: each of the first ROUND_SUMS * LANES_N threads adds up and stores one element.
        let element = round * ROUND_SUMS + t / LANES_N;
        let row = row0 + element / COLS;
        let col = col0 + element % COLS * LANES_N + t % LANES_N;
        if (t < ROUND_SUMS * LANES_N && row < uniforms.m && col < uniforms.n) {
            var total = 0.0;
            for (var lane = 0u; lane < SERIAL_LANES; lane++) { // unroll
                // Swizzled: the threads of a subgroup start at different lanes, which avoids bank conflicts.
                total += partials[t * LANES_K + (lane ^ (t % SERIAL_LANES))];
            }
            let bias_index = select(col, row, uniforms.bias_by_row == 1u);
            store_c(c_start + row * uniforms.c_row_stride + col * uniforms.c_col_stride, bias_index, total);
        }
    }
}

// acc + dot(x, y), in this order of rounding.
fn dot_acc(x: vec4<f32>, y: vec4<f32>, acc: f32) -> f32 {
    return fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, acc))));
}
