// blocked: c[m, n] = sum_k a[m, k] * b[k, n]. One stride of a is 1, and one of b.
// A workgroup computes BLOCK_M x BLOCK_N of c and shares BLOCK_K columns of a and rows of b at a time; each of
// its threads keeps THREAD_M x THREAD_N sums in registers, so that a number read once is used many times.
// Dispatch (ceil(cols / BLOCK_N), ceil(rows / BLOCK_M), products * splits); dims.wgsl says over what.
// Workgroup memory STAGES * BLOCK_K * (BLOCK_M + BLOCK_N) numbers of type Held.
// A block that would reach over the edge of c begins earlier; where c is smaller than a block, rows and columns
// beyond the edge are read from where the buffer ends, and never stored. Along k zeros take the place of what
// is not there: in the first tile, the only one that may be short, so that the loop need not ask.
// Appended: the constants named here; A_ALONG_K and B_ALONG_K, which say whether the stride of 1 is that of k;
// LANES_M and LANES_N, how 32 neighbouring threads lie in c; THREADS; the types Loaded (of a and b), Held (of
// factors) and Sum (of what SUM_TILES tiles add up, if that is not 0, else of all); dims.wgsl; and the functions
// that read and write the buffers, by fours where A_FOURS, B_FOURS and C_FOURS say so.
// The loops marked so are unrolled: arrays in registers are indexed by constants alone.

const BAND: u32 = 8u;

// In vectors, as all that concerns tiles: row k of a tile has the vectors of four neighbours across k.
const A_TILE: u32 = BLOCK_K * BLOCK_M / 4u;
const B_TILE: u32 = BLOCK_K * BLOCK_N / 4u;
const A_ROW: u32 = BLOCK_M / 4u;
const B_ROW: u32 = BLOCK_N / 4u;
var<workgroup> a_tile: array<vec4<Held>, STAGES * A_TILE>;
var<workgroup> b_tile: array<vec4<Held>, STAGES * B_TILE>;

// What a thread loads of a tile: four numbers of one k at a time. Along k neighbouring threads take neighbouring k,
// each of four rows of a; across k neighbouring vectors, or, one by one, neighbouring numbers of each of four parts
// of the row. The next four of a thread are REACH further in the matrix, and NEXT vectors in the tile.
const A_LOADS: u32 = A_TILE / THREADS;
const B_LOADS: u32 = B_TILE / THREADS;
const A_REACH: u32 = select(THREADS / A_ROW, THREADS / BLOCK_K * 4u, A_ALONG_K);
const B_REACH: u32 = select(THREADS / B_ROW, THREADS / BLOCK_K * 4u, B_ALONG_K);
const A_NEXT: u32 = select(A_REACH * A_ROW, A_REACH / 4u, A_ALONG_K);
const B_NEXT: u32 = select(B_REACH * B_ROW, B_REACH / 4u, B_ALONG_K);

// A subgroup of 32 threads computes SUB_M x SUB_N.
const SUB_M: u32 = LANES_M * THREAD_M;
const SUB_N: u32 = LANES_N * THREAD_N;
const SUBS_N: u32 = BLOCK_N / SUB_N;
const THREAD_M4: u32 = THREAD_M / 4u;
const THREAD_N4: u32 = THREAD_N / 4u;

// Vector i of row k lies at i ^ turn(k), so that what a subgroup stores along k meets all banks of the memory.
const A_TURNS: u32 = max(1u, min(8u, min(SUB_M, A_REACH) / 4u));
const B_TURNS: u32 = max(1u, min(8u, min(SUB_N, B_REACH) / 4u));
const A_BASES: u32 = min(A_TURNS, LANES_M);
const B_BASES: u32 = min(B_TURNS, LANES_N);

fn a_turn(k: u32) -> u32 {
    return select(0u, k % A_TURNS, A_ALONG_K);
}

fn b_turn(k: u32) -> u32 {
    return select(0u, k % B_TURNS, B_ALONG_K);
}

fn a_load(at: u32) -> vec4<Loaded> {
    if (A_FOURS) {
        return a_four(at);
    }
    let next = select(A_ROW, dims.a_row, A_ALONG_K);
    return vec4<Loaded>(a_one(at), a_one(at + next), a_one(at + 2u * next), a_one(at + 3u * next));
}

fn b_load(at: u32) -> vec4<Loaded> {
    if (B_FOURS) {
        return b_four(at);
    }
    let next = select(B_ROW, dims.b_col, B_ALONG_K);
    return vec4<Loaded>(b_one(at), b_one(at + next), b_one(at + 2u * next), b_one(at + 3u * next));
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let product = group.z / dims.splits;
    let k0 = dims.k0 + group.z % dims.splits * dims.depth;
    let k1 = min(dims.k1, k0 + dims.depth);
    // In bands of BAND blocks, down each column of a band: workgroups that run at once share rows and columns.
    let place = group.y * groups.x + group.x;
    let band = place / (BAND * groups.x);
    let high = min(BAND, groups.y - band * BAND);
    let in_band = place - band * BAND * groups.x;
    let own_row = dims.row0 + (band * BAND + in_band % high) * BLOCK_M;
    let own_col = dims.col0 + in_band / high * BLOCK_N;
    // A block that would reach over the edge moves back to it, and stores what is its own.
    let rows = select(dims.m, (dims.m + 3u) / 4u * 4u, A_FOURS);
    let cols = select(dims.n, (dims.n + 3u) / 4u * 4u, B_FOURS);
    let row0 = select(own_row, min(own_row, rows - BLOCK_M), EDGES && !CLAMPS);
    let col0 = select(own_col, min(own_col, cols - BLOCK_N), EDGES && !CLAMPS);

    let a_k = select(t / A_ROW, t % BLOCK_K, A_ALONG_K);
    let a_m = select(t % A_ROW * select(1u, 4u, A_FOURS), t / BLOCK_K * 4u, A_ALONG_K);
    let b_k = select(t / B_ROW, t % BLOCK_K, B_ALONG_K);
    let b_n = select(t % B_ROW * select(1u, 4u, B_FOURS), t / BLOCK_K * 4u, B_ALONG_K);
    var a_from = dims.a_at + product * dims.a_step + (row0 + a_m) * dims.a_row + (k0 + a_k) * dims.a_col;
    var b_from = dims.b_at + product * dims.b_step + (k0 + b_k) * dims.b_row + (col0 + b_n) * dims.b_col;
    let a_reach = A_REACH * select(dims.a_col, dims.a_row, A_ALONG_K);
    let b_reach = B_REACH * select(dims.b_row, dims.b_col, B_ALONG_K);
    let a_to = a_k * A_ROW + ((a_m / 4u) ^ a_turn(a_k));
    let b_to = b_k * B_ROW + ((b_n / 4u) ^ b_turn(b_k));

    let sub_row = t / 32u / SUBS_N;
    let sub_col = t / 32u % SUBS_N;
    let lane_row = t % 32u / LANES_N;
    let lane_col = t % 32u % LANES_N;
    var a_read = array<u32, A_BASES>();
    for (var i = 0u; i < A_BASES; i++) { // unroll
        a_read[i] = sub_row * (SUB_M / 4u) + (lane_row ^ i);
    }
    var b_read = array<u32, B_BASES>();
    for (var j = 0u; j < B_BASES; j++) { // unroll
        b_read[j] = sub_col * (SUB_N / 4u) + (lane_col ^ j);
    }

    let first = (k1 - k0 - 1u) % BLOCK_K + 1u;
    let tiles = (k1 - k0 - first) / BLOCK_K + 1u;
    var a_next = array<vec4<Loaded>, A_LOADS>();
    var b_next = array<vec4<Loaded>, B_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        if (a_k + select(i * A_REACH, 0u, A_ALONG_K) < first) {
            a_next[i] = a_load(a_from + i * a_reach);
        }
    }
    for (var i = 0u; i < B_LOADS; i++) { // unroll
        if (b_k + select(i * B_REACH, 0u, B_ALONG_K) < first) {
            b_next[i] = b_load(b_from + i * b_reach);
        }
    }
    a_from += first * dims.a_col;
    b_from += first * dims.b_row;

    var sum = array<vec4<Sum>, THREAD_M * THREAD_N4>();
    var total = array<vec4<f32>, THREAD_M * THREAD_N4>();
    var stage = 0u;
    for (var tile = 0u; tile < tiles; tile++) {
        for (var i = 0u; i < A_LOADS; i++) { // unroll
            if (A_ALONG_K || A_FOURS) {
                a_tile[stage * A_TILE + a_to + i * A_NEXT] = vec4<Held>(a_next[i]);
            } else {
                for (var j = 0u; j < 4u; j++) { // unroll
                    a_tile[stage * A_TILE + a_to + i * A_NEXT + j * (A_ROW / 4u)][a_m % 4u] = Held(a_next[i][j]);
                }
            }
        }
        for (var i = 0u; i < B_LOADS; i++) { // unroll
            if (B_ALONG_K || B_FOURS) {
                b_tile[stage * B_TILE + b_to + i * B_NEXT] = vec4<Held>(b_next[i]);
            } else {
                for (var j = 0u; j < 4u; j++) { // unroll
                    b_tile[stage * B_TILE + b_to + i * B_NEXT + j * (B_ROW / 4u)][b_n % 4u] = Held(b_next[i][j]);
                }
            }
        }
        workgroupBarrier();
        // The next tiles travel while these are multiplied.
        if (tile + 1u < tiles) {
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                a_next[i] = a_load(a_from + i * a_reach);
            }
            for (var i = 0u; i < B_LOADS; i++) { // unroll
                b_next[i] = b_load(b_from + i * b_reach);
            }
            a_from += BLOCK_K * dims.a_col;
            b_from += BLOCK_K * dims.b_row;
        }
        for (var k = 0u; k < BLOCK_K; k++) { // unroll
            let a_at = stage * A_TILE + k * A_ROW + a_read[a_turn(k) % A_BASES];
            let b_at = stage * B_TILE + k * B_ROW + b_read[b_turn(k) % B_BASES];
            var a_part = array<vec4<Held>, THREAD_M4>();
            var b_part = array<vec4<Held>, THREAD_N4>();
            for (var i = 0u; i < THREAD_M4; i++) { // unroll
                a_part[i] = a_tile[a_at + (i ^ (a_turn(k) / A_BASES)) * LANES_M];
            }
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                b_part[j] = b_tile[b_at + (j ^ (b_turn(k) / B_BASES)) * LANES_N];
            }
            for (var i = 0u; i < THREAD_M; i++) { // unroll
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    sum[i * THREAD_N4 + j] = fma(
                        vec4<Sum>(Sum(a_part[i / 4u][i % 4u])),
                        vec4<Sum>(b_part[j]),
                        sum[i * THREAD_N4 + j],
                    );
                }
            }
        }
        if (SUM_TILES > 0u && tile % max(SUM_TILES, 1u) == max(SUM_TILES, 1u) - 1u) {
            for (var i = 0u; i < THREAD_M * THREAD_N4; i++) { // unroll
                total[i] += vec4<f32>(sum[i]);
                sum[i] = vec4<Sum>();
            }
        }
        if (STAGES == 1u) {
            workgroupBarrier();
        } else {
            stage = 1u - stage;
        }
    }

    let c_at = dims.c_at + group.z * dims.c_step;
    for (var i = 0u; i < THREAD_M; i++) { // unroll
        let row = row0 + sub_row * SUB_M + (lane_row + i / 4u * LANES_M) * 4u + i % 4u;
        for (var j = 0u; j < THREAD_N4; j++) { // unroll
            let col = col0 + sub_col * SUB_N + (lane_col + j * LANES_N) * 4u;
            if (!EDGES || (row >= own_row && row < dims.m && col + 3u >= own_col && col < dims.n)) {
                c_from(own_col, c_at + row * dims.c_row + col, col, total[i * THREAD_N4 + j] + vec4<f32>(sum[i * THREAD_N4 + j]));
            }
        }
    }
}
