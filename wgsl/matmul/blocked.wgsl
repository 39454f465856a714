// blocked: c[m, n] = sum_k a[m, k] * b[k, n]; row-major, m, n and k multiples of BLOCK_M, BLOCK_N and BLOCK_K.
// A workgroup computes BLOCK_M x BLOCK_N of c and shares BLOCK_K columns of a and rows of b at a time; each of
// its threads keeps THREAD_M x THREAD_N sums in registers, so that a number read once is used many times.
// Dispatch (cols / BLOCK_N, rows / BLOCK_M, products) over the block of c that starts at (row0, col0). The
// product z has its matrices at a_at + z * a_step and so on, modulo 2^32, multiples of 4.
// Workgroup memory STAGES * BLOCK_K * (BLOCK_M + BLOCK_N) * 4 bytes.
// The sum runs over [k0, k1); `accumulate` adds it to what c already holds.
// Appended: the constants named here, LANES_M and LANES_N, which say how 32 neighbouring threads lie in c,
// and THREADS. The loops marked so are unrolled, for arrays in registers are indexed by constants alone.

struct Dims {
    m: u32,
    n: u32,
    k: u32,
    row0: u32,
    col0: u32,
    k0: u32,
    k1: u32,
    accumulate: u32,
    a_at: u32,
    b_at: u32,
    c_at: u32,
    a_step: u32,
    b_step: u32,
    c_step: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> dims: Dims;

// In vec4. The tile of a lies with k in rows, so that a thread reads neighbouring rows of a as one vec4.
const A_ROW: u32 = BLOCK_M / 4u;
const B_ROW: u32 = BLOCK_N / 4u;
const A_TILE: u32 = BLOCK_K * A_ROW;
const B_TILE: u32 = BLOCK_K * B_ROW;
var<workgroup> a_tile: array<vec4<f32>, STAGES * A_TILE>;
var<workgroup> b_tile: array<vec4<f32>, STAGES * B_TILE>;

// What a thread loads of a tile, and how many rows of a and of b all threads load at once.
const A_LOADS: u32 = A_TILE / THREADS;
const B_LOADS: u32 = B_TILE / THREADS;
const A_ROWS_A_LOAD: u32 = THREADS * 4u / BLOCK_K;
const B_ROWS_A_LOAD: u32 = THREADS / B_ROW;

// A subgroup of 32 threads computes SUB_M x SUB_N.
const SUB_M: u32 = LANES_M * THREAD_M;
const SUB_N: u32 = LANES_N * THREAD_N;
const SUBS_N: u32 = BLOCK_N / SUB_N;
const THREAD_N4: u32 = THREAD_N / 4u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row0 = dims.row0 + group.y * BLOCK_M;
    let col4 = (dims.col0 + group.x * BLOCK_N) / 4u;
    let k4 = dims.k / 4u;
    let n4 = dims.n / 4u;

    // Neighbours load along k of a, and along n of b.
    let a_k = t % (BLOCK_K / 4u);
    let a_m = t / (BLOCK_K / 4u);
    let b_k = t / B_ROW;
    let b_n = t % B_ROW;
    var a_from = (dims.a_at + group.z * dims.a_step + dims.k0) / 4u + (row0 + a_m) * k4 + a_k;
    var b_from = (dims.b_at + group.z * dims.b_step) / 4u + (dims.k0 + b_k) * n4 + col4 + b_n;
    // Column m / 4 of row k lies at (m / 4) ^ 2 (k / 4), so that a subgroup's stores of one row each meet all banks.
    let a_to = 4u * a_k * A_ROW + ((a_m / 4u) ^ (2u * a_k));
    let a_part_to = a_m % 4u;
    let b_to = b_k * B_ROW + b_n;

    let sub_row = t / 32u / SUBS_N;
    let sub_col = t / 32u % SUBS_N;
    let lane_row = t % 32u / LANES_N;
    let lane_col = t % 32u % LANES_N;
    let b_read = sub_col * (SUB_N / 4u) + lane_col;
    var a_read = array<u32, BLOCK_K / 4u>();
    for (var k = 0u; k < BLOCK_K / 4u; k++) { // unroll
        a_read[k] = (sub_row * (SUB_M / 4u) + lane_row) ^ (2u * k);
    }

    var sum = array<vec4<f32>, THREAD_M * THREAD_N4>();
    var a_next = array<vec4<f32>, A_LOADS>();
    var b_next = array<vec4<f32>, B_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        a_next[i] = a[a_from + i * A_ROWS_A_LOAD * k4];
    }
    for (var i = 0u; i < B_LOADS; i++) { // unroll
        b_next[i] = b[b_from + i * B_ROWS_A_LOAD * n4];
    }
    var stage = 0u;
    for (var k = dims.k0; k < dims.k1; k += BLOCK_K) {
        for (var i = 0u; i < A_LOADS; i++) { // unroll
            for (var j = 0u; j < 4u; j++) { // unroll
                a_tile[stage * A_TILE + a_to + j * A_ROW + i * A_ROWS_A_LOAD / 4u][a_part_to] = a_next[i][j];
            }
        }
        for (var i = 0u; i < B_LOADS; i++) { // unroll
            b_tile[stage * B_TILE + b_to + i * B_ROWS_A_LOAD * B_ROW] = b_next[i];
        }
        workgroupBarrier();
        // The next tiles travel while these are multiplied.
        if (k + BLOCK_K < dims.k1) {
            a_from += BLOCK_K / 4u;
            b_from += BLOCK_K * n4;
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                a_next[i] = a[a_from + i * A_ROWS_A_LOAD * k4];
            }
            for (var i = 0u; i < B_LOADS; i++) { // unroll
                b_next[i] = b[b_from + i * B_ROWS_A_LOAD * n4];
            }
        }
        let a_base = stage * A_TILE;
        let b_base = stage * B_TILE + b_read;
        for (var step = 0u; step < BLOCK_K; step++) { // unroll
            var a_part = array<vec4<f32>, THREAD_M / 4u>();
            var b_part = array<vec4<f32>, THREAD_N4>();
            for (var i = 0u; i < THREAD_M / 4u; i++) { // unroll
                a_part[i] = a_tile[a_base + a_read[step / 4u] + step * A_ROW + i * LANES_M];
            }
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                b_part[j] = b_tile[b_base + step * B_ROW + j * LANES_N];
            }
            for (var i = 0u; i < THREAD_M; i++) { // unroll
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    sum[i * THREAD_N4 + j] = fma(vec4(a_part[i / 4u][i % 4u]), b_part[j], sum[i * THREAD_N4 + j]);
                }
            }
        }
        if (STAGES == 1u) {
            workgroupBarrier();
        } else {
            stage = 1u - stage;
        }
    }

    let c_at = (dims.c_at + group.z * dims.c_step) / 4u;
    let c_row = row0 + sub_row * SUB_M + 4u * lane_row;
    let c_col = col4 + sub_col * (SUB_N / 4u) + lane_col;
    for (var i = 0u; i < THREAD_M; i++) { // unroll
        for (var j = 0u; j < THREAD_N4; j++) { // unroll
            let at = c_at + (c_row + i / 4u * LANES_M * 4u + i % 4u) * n4 + c_col + j * LANES_N;
            var total = sum[i * THREAD_N4 + j];
            if (dims.accumulate == 1u) {
                total += c[at];
            }
            c[at] = total;
        }
    }
}
