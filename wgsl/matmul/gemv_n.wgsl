// gemv_n: c[m, n] = sum_k a[m, k] * b[k, n] for few rows of a; b is contiguous across k. Bound by reading b.
//
// Layout: B_VEC4 loads vec4s of b along n, and A_VEC4 vec4s of a along k; without them any strides work.
// Dispatch: (ceil(cols / (4 * LANES_N)), ceil(rows / ROWS), products * split_k); uniforms.wgsl defines the region.
// Workgroup: LANES_N x LANES_K threads compute ROWS rows by 4 * LANES_N columns of c.
// Thread: the partial sums of ROWS rows by 4 columns. It loads 4 * UNROLL_K rows of b at once, to keep that many loads
//   in flight, then advances by CHUNK_K. At the end, the partial sums of the LANES_K threads of a column are added.
//
//   b         n ->   lane_n 0     lane_n 1    ...
//   k 0..3  lane_k 0 | 4 x 4      | 4 x 4     |        a thread multiplies 4 x 4 of b by ROWS x 4 of a,
//   k 4..7  lane_k 1 | 4 x 4      | 4 x 4     |        UNROLL_K times, STEP_K rows of b apart
//   ...              |            |           |
//
// Workgroup memory: ROUND_SUMS * THREADS * 16 bytes, for ROUND_SUMS rows of each thread at a time.
// Loop iterations of a thread: k_per_split / CHUNK_K, rounded down, and at most UNROLL_K more.
// Bounds: indices beyond m, n and the k range are clamped to the last valid one; stores are guarded.
// Appended: ROWS, LANES_N, LANES_K, UNROLL_K, THREADS (LANES_N * LANES_K); ROUND_SUMS <= LANES_K, which divides ROWS;
//   A_VEC4, B_VEC4; Uniforms; and the functions of access.py: load_a, load_a_vec4, load_b, load_b_vec4, store_c.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

var<workgroup> partials: array<vec4<f32>, ROUND_SUMS * THREADS>;

// Rows of b between two loads of a thread, and between two iterations of its loop.
const STEP_K: u32 = 4u * LANES_K;
const CHUNK_K: u32 = UNROLL_K * STEP_K;

// Four elements of a along k; zero from element `count` on.
fn load_a_k4(index: u32, count: u32) -> vec4<f32> {
    if (A_VEC4) {
        return load_a_vec4(index);
    }
    let steps = min(vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * uniforms.a_col_stride;
    let values = vec4(load_a(index), load_a(index + steps.y), load_a(index + steps.z), load_a(index + steps.w));
    return select(vec4(0.0), values, vec4(0u, 1u, 2u, 3u) < vec4(count));
}

// Four elements of b along n.
fn load_b_n4(index: u32, b_cols: vec4<u32>) -> vec4<f32> {
    if (B_VEC4) {
        return load_b_vec4(index + b_cols.x);
    }
    return vec4(load_b(index + b_cols.x), load_b(index + b_cols.y), load_b(index + b_cols.z), load_b(index + b_cols.w));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    // Find the k range
    let lane_n = t % LANES_N;
    let lane_k = t / LANES_N;
    let product = group.z / uniforms.split_k;
    let k0 = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = k0 + min(uniforms.k_per_split, uniforms.k1 - min(k0, uniforms.k1));
    let k1_chunks = k0 + (k1 - k0) / CHUNK_K * CHUNK_K;

    // Find the block. Loads are coalesced: neighbouring threads load neighbouring vec4s, or, four times, neighbouring
    // columns
    let row0 = uniforms.row0 + group.y * ROWS;
    let col0 = uniforms.col0 + group.x * 4u * LANES_N;
    let cols = col0 + select(lane_n + LANES_N * vec4(0u, 1u, 2u, 3u), 4u * lane_n + vec4(0u, 1u, 2u, 3u), B_VEC4);
    let b_cols = min(cols, vec4(uniforms.n - 1u)) * uniforms.b_col_stride;
    var a_rows = array<u32, ROWS>();
    for (var i = 0u; i < ROWS; i++) { // unroll
        a_rows[i] = min(row0 + i, uniforms.m - 1u) * uniforms.a_row_stride;
    }
    let a_start = uniforms.a_offset + product * uniforms.a_batch_stride;
    let b_start = uniforms.b_offset + product * uniforms.b_batch_stride;
    var a_index = a_start + (k0 + 4u * lane_k) * uniforms.a_col_stride;
    var b_index = b_start + (k0 + 4u * lane_k) * uniforms.b_row_stride;

    // Main loop: whole chunks, no bounds checks along k
    var acc = array<vec4<f32>, ROWS>();
    for (var k = k0; k < k1_chunks; k += CHUNK_K) {
        var b_values = array<vec4<f32>, 4u * UNROLL_K>();
        for (var step = 0u; step < UNROLL_K; step++) { // unroll
            for (var r = 0u; r < 4u; r++) { // unroll
                b_values[4u * step + r] = load_b_n4(b_index + (step * STEP_K + r) * uniforms.b_row_stride, b_cols);
            }
        }
        for (var step = 0u; step < UNROLL_K; step++) { // unroll
            for (var i = 0u; i < ROWS; i++) { // unroll
                let a_values = load_a_k4(a_index + a_rows[i] + step * STEP_K * uniforms.a_col_stride, 4u);
                for (var r = 0u; r < 4u; r++) { // unroll
                    acc[i] = fma(vec4(a_values[r]), b_values[4u * step + r], acc[i]);
                }
            }
        }
        a_index += CHUNK_K * uniforms.a_col_stride;
        b_index += CHUNK_K * uniforms.b_row_stride;
    }
    // K tail
    for (var k = k1_chunks + 4u * lane_k; k < k1; k += STEP_K) {
        let count = min(4u, k1 - k);
        var b_values = array<vec4<f32>, 4>();
        for (var r = 0u; r < 4u; r++) { // unroll
            let b_row = load_b_n4(b_start + (k + min(r, count - 1u)) * uniforms.b_row_stride, b_cols);
            b_values[r] = select(vec4(0.0), b_row, r < count);
        }
        for (var i = 0u; i < ROWS; i++) { // unroll
            let a_values = load_a_k4(a_start + a_rows[i] + k * uniforms.a_col_stride, count);
            for (var r = 0u; r < 4u; r++) { // unroll
                acc[i] = fma(vec4(a_values[r]), b_values[r], acc[i]);
            }
        }
    }

    // Reduction over the lanes along k, and epilogue: ROUND_SUMS rows at a time
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    for (var round = 0u; round < ROWS / ROUND_SUMS; round++) { // unroll
        if (round > 0u) {
            workgroupBarrier();
        }
        for (var i = 0u; i < ROUND_SUMS; i++) { // unroll
            partials[i * THREADS + t] = acc[round * ROUND_SUMS + i];
        }
        workgroupBarrier();
        // Lane k of the first ROUND_SUMS adds up and stores row k of this round.
        let row = row0 + round * ROUND_SUMS + lane_k;
        if (lane_k < ROUND_SUMS && row < uniforms.m) {
            var total = vec4(0.0);
            for (var lane = 0u; lane < LANES_K; lane++) { // unroll
                total += partials[lane_k * THREADS + lane * LANES_N + lane_n];
            }
            for (var j = 0u; j < 4u; j++) { // unroll
                if (cols[j] < uniforms.n) {
                    let bias_index = select(cols[j], row, uniforms.bias_by_row == 1u);
                    store_c(c_start + row * uniforms.c_row_stride + cols[j] * uniforms.c_col_stride, bias_index, total[j]);
                }
            }
        }
    }
}
