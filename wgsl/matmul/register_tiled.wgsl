// register_tiled: c[m, n] = sum_k a[m, k] * b[k, n], register tiles without workgroup memory. For GPUs whose caches are
// as fast as their workgroup memory.
//
// Layout: any strides of a and b; vec4 loads along k or across it, and vec4 stores, where A_VEC4, B_VEC4 and C_VEC4
//   allow them.
// Dispatch: (ceil(cols / BLOCK_N), ceil(rows / BLOCK_M), products * split_k); uniforms.wgsl defines the region.
// Workgroup: LANES_M x LANES_N threads, neighbours along n; a block of c is BLOCK_M = THREAD_M * LANES_M rows by
//   BLOCK_N = THREAD_N * LANES_N columns. No workgroup memory and no barriers: operands come straight from a and b.
// Thread: THREAD_M x THREAD_N accumulators in registers. Its rows are groups of LANE_ROWS neighbours, LANE_ROWS * LANES_M
//   apart, its columns groups of LANE_COLS: neighbouring threads make neighbouring loads and stores.
//
//        block, n ->        lane 0, 0   lane 0, 1  ...  lane 0, 0   lane 0, 1  ...
//          LANE_ROWS rows   LANE_COLS   LANE_COLS       LANE_COLS   LANE_COLS
//        m                  lane 1, 0   lane 1, 1  ...  lane 1, 0   lane 1, 1  ...
//        |                  ...
//        v                  lane 0, 0   lane 0, 1  ...  lane 0, 0   lane 0, 1  ...
//
// Along k: STEP_K steps per iteration of the main loop, without bounds checks; then the K tail, one step at a time.
// Loop iterations of a thread: k_per_split / STEP_K, and up to STEP_K - 1 for the K tail.
//
// Edges of c: a block that would extend beyond the edge is shifted back inside, and stores only the elements that no
//   other block stores. Where c is smaller than a block, loads are clamped to the end of the buffer, and stores are
//   guarded.
//
// Appended:
//   THREAD_M, THREAD_N, LANES_M, LANES_N   the tile hierarchy; THREAD_M and THREAD_N are multiples of 4
//   STEP_K                           a multiple of 4
//   A_LOAD_M, A_LOAD_K, B_LOAD_K, B_LOAD_N   the elements of one load: 1 x 1, or 4 in the contiguous direction
//   LANE_COLS                        1, or 4 where B_LOAD_N is 4 or c is stored by vec4s
//   A_VEC4, B_VEC4, C_VEC4           accesses are vec4s
//   EDGES, CLAMP_LOADS               blocks may extend beyond c; loads may leave the buffers
//   fetch_a(index), fetch_b(index)   load `index` of the buffer, a vec4 or one element, as vec4<f32>
//   Uniforms, and the functions of access.py: load_a, load_b, store_c, store_c_vec4_from (with the epilogue)
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

const BLOCK_M: u32 = LANES_M * THREAD_M;
const BLOCK_N: u32 = LANES_N * THREAD_N;
const LANE_ROWS: u32 = A_LOAD_M;
const THREAD_N4: u32 = THREAD_N / 4u;

const A_LOAD_SIZE: u32 = A_LOAD_M * A_LOAD_K;
const B_LOAD_SIZE: u32 = B_LOAD_K * B_LOAD_N;
const A_LOADS: u32 = THREAD_M / A_LOAD_M;
const B_LOADS: u32 = THREAD_N / B_LOAD_N;

// Rows of blocks in a band of the rasterization order.
const BAND_BLOCKS: u32 = 8u;

// The distance of row i of a thread from its first row, and of column j from its first column.
fn row_offset(i: u32) -> u32 {
    return i / LANE_ROWS * LANE_ROWS * LANES_M + i % LANE_ROWS;
}

fn col_offset(j: u32) -> u32 {
    return j / LANE_COLS * LANE_COLS * LANES_N + j % LANE_COLS;
}

// A distance in elements, of either sign and a multiple of `size`, which is 1 or 4, in loads of that size.
fn in_loads(elements: u32, size: u32) -> u32 {
    return bitcast<u32>(bitcast<i32>(elements) >> (size / 4u * 2u));
}

@compute @workgroup_size(LANES_M * LANES_N)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the k range of this split
    let product = group.z / uniforms.split_k;
    let k0 = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = min(uniforms.k1, k0 + uniforms.k_per_split);

    // Find the block. One that extends beyond the edge is shifted back inside
    let block = banded(group, groups, BAND_BLOCKS);
    let block_row = uniforms.row0 + block.x * BLOCK_M;
    let block_col = uniforms.col0 + block.y * BLOCK_N;
    let rows = (uniforms.m + LANE_ROWS - 1u) / LANE_ROWS * LANE_ROWS;
    let cols = (uniforms.n + B_LOAD_N - 1u) / B_LOAD_N * B_LOAD_N;
    let row0 = select(block_row, min(block_row, rows - BLOCK_M), EDGES && !CLAMP_LOADS);
    let col0 = select(block_col, min(block_col, cols - BLOCK_N), EDGES && !CLAMP_LOADS);

    // Find this thread's first element of c, and of a and b at k0
    let row = row0 + t / LANES_N * LANE_ROWS;
    let col = col0 + t % LANES_N * LANE_COLS;
    let a_start = uniforms.a_offset + product * uniforms.a_batch_stride + row * uniforms.a_row_stride
        + k0 * uniforms.a_col_stride;
    let b_start = uniforms.b_offset + product * uniforms.b_batch_stride + k0 * uniforms.b_row_stride
        + col * uniforms.b_col_stride;

    // Main loop. Indices and strides are in loads
    var a_index = a_start / A_LOAD_SIZE;
    var b_index = b_start / B_LOAD_SIZE;
    let a_row_stride = in_loads(A_LOAD_M * uniforms.a_row_stride, A_LOAD_SIZE);
    let a_k_stride = in_loads(A_LOAD_K * uniforms.a_col_stride, A_LOAD_SIZE);
    let b_k_stride = in_loads(B_LOAD_K * uniforms.b_row_stride, B_LOAD_SIZE);
    let b_col_stride = in_loads(B_LOAD_N * uniforms.b_col_stride, B_LOAD_SIZE);
    var acc = array<vec4<f32>, THREAD_M * THREAD_N4>();
    var k = k0;
    for (; k + STEP_K <= k1; k += STEP_K) {
        var a_values = array<f32, STEP_K * THREAD_M>();
        for (var h = 0u; h < STEP_K / A_LOAD_K; h++) { // unroll
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                let x = fetch_a(a_index + h * a_k_stride + row_offset(i * A_LOAD_M) / A_LOAD_M * a_row_stride);
                for (var e = 0u; e < A_LOAD_SIZE; e++) { // unroll
                    a_values[(h * A_LOAD_K + e / A_LOAD_M) * THREAD_M + i * A_LOAD_M + e % A_LOAD_M] = x[e];
                }
            }
        }
        var b_values = array<vec4<f32>, STEP_K * THREAD_N4>();
        for (var h = 0u; h < STEP_K / B_LOAD_K; h++) { // unroll
            for (var j = 0u; j < B_LOADS; j++) { // unroll
                let x = fetch_b(b_index + h * b_k_stride + col_offset(j * B_LOAD_N) / B_LOAD_N * b_col_stride);
                for (var e = 0u; e < B_LOAD_SIZE; e++) { // unroll
                    const n = j * B_LOAD_N + e % B_LOAD_N;
                    b_values[(h * B_LOAD_K + e / B_LOAD_N) * THREAD_N4 + n / 4u][n % 4u] = x[e];
                }
            }
        }
        a_index += STEP_K / A_LOAD_K * a_k_stride;
        b_index += STEP_K / B_LOAD_K * b_k_stride;
        for (var h = 0u; h < STEP_K; h++) { // unroll
            for (var i = 0u; i < THREAD_M; i++) { // unroll
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    const at = i * THREAD_N4 + j;
                    acc[at] = fma(vec4(a_values[h * THREAD_M + i]), b_values[h * THREAD_N4 + j], acc[at]);
                }
            }
        }
    }

    // K tail
    for (; k < k1; k++) {
        let a_at = a_start + (k - k0) * uniforms.a_col_stride;
        let b_at = b_start + (k - k0) * uniforms.b_row_stride;
        var b_values = array<vec4<f32>, THREAD_N4>();
        for (var j = 0u; j < THREAD_N; j++) { // unroll
            b_values[j / 4u][j % 4u] = load_b(b_at + col_offset(j) * uniforms.b_col_stride);
        }
        for (var i = 0u; i < THREAD_M; i++) { // unroll
            let a_value = load_a(a_at + row_offset(i) * uniforms.a_row_stride);
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                const at = i * THREAD_N4 + j;
                acc[at] = fma(vec4(a_value), b_values[j], acc[at]);
            }
        }
    }

    // Epilogue and store of c
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    for (var i = 0u; i < THREAD_M; i++) { // unroll
        let y = row + row_offset(i);
        let c_row = c_start + y * uniforms.c_row_stride;
        if (!EDGES || (y >= block_row && y < uniforms.m)) {
            for (var j = 0u; j < THREAD_N / LANE_COLS; j++) { // unroll
                let x = col + col_offset(j * LANE_COLS);
                if (!EDGES || (x + LANE_COLS > block_col && x < uniforms.n)) {
                    if (LANE_COLS == 4u) {
                        store_c_vec4_from(block_col, c_row + x, x, acc[i * THREAD_N4 + j * LANE_COLS / 4u]);
                    } else {
                        store_c(c_row + x, x, acc[i * THREAD_N4 + j * LANE_COLS / 4u][j % 4u]);
                    }
                }
            }
        }
    }
}
