// register_tiled_cpu: c[m, n] = sum_k a[m, k] * b[k, n], register tiles without workgroup memory. For CPU drivers.
//
// Layout: any strides of a and b; vec4 loads and stores where A_VEC4, B_VEC4 and C_VEC4 allow them.
// Dispatch: (ceil(cols / block), ceil(rows / block), products * split_k); uniforms.wgsl defines the region.
// Workgroup: LANES_M x LANES_N threads, neighbours along n; a block of c is THREAD_M * LANES_M rows by
//   THREAD_N * LANES_N columns. No workgroup memory: operands come straight from a and b, and caches provide the reuse.
// Thread: THREAD_M x THREAD_N accumulators in registers. Its columns are THREAD_N / 4 vec4s, 4 * LANES_N apart.
//
//       block, n ->      lane 0   lane 1  ...  lane 0   lane 1  ...
//         THREAD_M rows  4 cols   4 cols       4 cols   4 cols
//
// Loop iterations of a thread: ceil(k_per_split / STEP_K) + THREAD_M / FMA_ROWS.
// Bounds: loads beyond m, n and the k range are clamped to the last element; beyond k, zero replaces the loaded value;
//   stores are guarded.
// Appended:
//   THREAD_M, THREAD_N, LANES_M, LANES_N   the tile hierarchy
//   STEP_K             steps of k per iteration
//   FMA_ROWS           rows of the register tile multiplied at once; divides THREAD_M
//   A_LOAD_M, A_LOAD_K, B_LOAD_K, B_LOAD_N   the elements of one load: 1 x 1, or 4 in the contiguous direction
//   SHUFFLE_LANES      1, or LANES_N: neighbours load different rows of a and exchange them, in a workgroup that is
//                      one subgroup
//   shuffle_lane(x, lane)   the x of that thread of the workgroup
//   Uniforms, and the functions of access.py: load_a, load_a_vec4, load_b, load_b_vec4, store_c_vec4
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

const A_LOAD_SIZE: u32 = A_LOAD_M * A_LOAD_K;
const B_LOAD_SIZE: u32 = B_LOAD_K * B_LOAD_N;
const A_LOADS: u32 = THREAD_M / A_LOAD_M / SHUFFLE_LANES;
const B_LOADS: u32 = THREAD_N / B_LOAD_N;
const THREAD_N4: u32 = THREAD_N / 4u;

// The elements of one load of a, then of b: the first A_LOAD_SIZE, or B_LOAD_SIZE, count.
fn load_a_elements(index: u32) -> vec4<f32> {
    if (A_VEC4) {
        return load_a_vec4(index);
    }
    return vec4(load_a(index));
}

fn load_b_elements(index: u32) -> vec4<f32> {
    if (B_VEC4) {
        return load_b_vec4(index);
    }
    return vec4(load_b(index));
}

@compute @workgroup_size(LANES_M * LANES_N)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    // Find the block
    let lane = t % LANES_N;
    let first_lane = t - lane;
    let row = uniforms.row0 + (group.y * LANES_M + t / LANES_N) * THREAD_M;
    let col = uniforms.col0 + group.x * LANES_N * THREAD_N + lane * 4u;
    let product = group.z / uniforms.split_k;
    let k0 = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = min(uniforms.k1, k0 + uniforms.k_per_split);
    let k_last = k1 - 1u;

    // Where the rows of a and the columns of b start
    var a_rows = array<u32, A_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        let a_row = row + (i * SHUFFLE_LANES + lane % SHUFFLE_LANES) * A_LOAD_M;
        a_rows[i] = uniforms.a_offset + product * uniforms.a_batch_stride + min(a_row, uniforms.m - 1u) * uniforms.a_row_stride;
    }
    var b_cols = array<u32, B_LOADS>();
    for (var j = 0u; j < B_LOADS; j++) { // unroll
        let b_col = col + j * B_LOAD_N / 4u * 4u * LANES_N + j * B_LOAD_N % 4u;
        b_cols[j] = uniforms.b_offset + product * uniforms.b_batch_stride + min(b_col, uniforms.n - 1u) * uniforms.b_col_stride;
    }

    // Main loop
    var acc = array<vec4<f32>, THREAD_M * THREAD_N4>();
    for (var k = k0; k < k1; k += STEP_K) {
        // Load a and b
        var a_values = array<f32, A_LOADS * A_LOAD_M * STEP_K>();
        for (var h = 0u; h < STEP_K / A_LOAD_K; h++) { // unroll
            let a_k = min(k + h * A_LOAD_K, k_last) * uniforms.a_col_stride;
            let in_range = k + h * A_LOAD_K < k1;
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                let x = select(vec4<f32>(), load_a_elements(a_rows[i] + a_k), in_range);
                for (var e = 0u; e < A_LOAD_SIZE; e++) { // unroll
                    a_values[(i * A_LOAD_M + e % A_LOAD_M) * STEP_K + h * A_LOAD_K + e / A_LOAD_M] = x[e];
                }
            }
        }
        var b_values = array<vec4<f32>, STEP_K * THREAD_N4>();
        for (var h = 0u; h < STEP_K / B_LOAD_K; h++) { // unroll
            let b_k = min(k + h * B_LOAD_K, k_last) * uniforms.b_row_stride;
            let in_range = k + h * B_LOAD_K < k1;
            for (var j = 0u; j < B_LOADS; j++) { // unroll
                let x = select(vec4<f32>(), load_b_elements(b_cols[j] + b_k), in_range);
                for (var e = 0u; e < B_LOAD_SIZE; e++) { // unroll
                    const n = j * B_LOAD_N + e % B_LOAD_N;
                    b_values[(h * B_LOAD_K + e / B_LOAD_N) * THREAD_N4 + n / 4u][n % 4u] = x[e];
                }
            }
        }
        // Multiply, FMA_ROWS rows at a time
        for (var pass_m = 0u; pass_m < THREAD_M / FMA_ROWS; pass_m++) { // unroll
            var a_block = array<f32, FMA_ROWS * STEP_K>();
            for (var h = 0u; h < STEP_K; h++) { // unroll
                for (var r = 0u; r < FMA_ROWS; r++) { // unroll
                    const i = pass_m * FMA_ROWS + r;
                    const own = i / A_LOAD_M / SHUFFLE_LANES * A_LOAD_M + i % A_LOAD_M;
                    const lane_of_row = i / A_LOAD_M % SHUFFLE_LANES;
                    a_block[r * STEP_K + h] = shuffle_lane(a_values[own * STEP_K + h], first_lane + lane_of_row);
                }
            }
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                for (var h = 0u; h < STEP_K; h++) { // unroll
                    for (var r = 0u; r < FMA_ROWS; r++) { // unroll
                        const index = (pass_m * FMA_ROWS + r) * THREAD_N4 + j;
                        acc[index] = fma(vec4(a_block[r * STEP_K + h]), b_values[h * THREAD_N4 + j], acc[index]);
                    }
                }
            }
        }
    }

    // Epilogue. The accumulators are shifted up to the first FMA_ROWS rows, which are stored in each iteration: storing
    // all rows in unrolled code would take a driver longer to compile than the rest of the kernel.
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    for (var row_offset = 0u; row_offset < THREAD_M; row_offset += FMA_ROWS) {
        for (var i = 0u; i < FMA_ROWS; i++) { // unroll
            let c_row = row + row_offset + i;
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                let c_col = col + j * 4u * LANES_N;
                if (c_row < uniforms.m && c_col < uniforms.n) {
                    store_c_vec4(c_start + c_row * uniforms.c_row_stride + c_col, c_col, acc[i * THREAD_N4 + j]);
                }
            }
        }
        for (var i = 0u; i < (THREAD_M - FMA_ROWS) * THREAD_N4; i++) { // unroll
            acc[i] = acc[i + FMA_ROWS * THREAD_N4];
        }
    }
}
