// blocked: c[m, n] = sum_k a[m, k] * b[k, n]. One stride of a is 1, and one of b.
// A workgroup computes BLOCK_M x BLOCK_N of c and shares BLOCK_K columns of a and rows of b at a time; each of
// its threads keeps THREAD_M x THREAD_N sums in registers, so that a number read once is used many times.
// Dispatch (ceil(cols / BLOCK_N), ceil(rows / BLOCK_M), products * splits); dims.wgsl says over what.
// Workgroup memory STAGES * BLOCK_K * (BLOCK_M + BLOCK_N) numbers of type Held, four bytes each.
// A block that would reach over the edge of c begins earlier; where c is smaller than a block, rows and columns
// beyond the edge are read from where the buffer ends, and never stored. Along k zeros take the place of what
// is not there: in the first tile, the only one that may be short, so that the loop need not ask.
// Appended: the constants named here; A_ALONG_K and B_ALONG_K, which say whether the stride of 1 is that of k, and
// A_FOURS and B_FOURS, whether four neighbours are loaded at once; LANES_M and LANES_N, how 32 neighbouring threads
// lie in c; THREADS; dims.wgsl; a_load and b_load, which load AFour and BFour, four numbers as they are stored, and
// a_held and b_held, which make Held of them, what is multiplied; Sums, those of a row of four, multiply_add and
// added_up, which gives them in f32; as_held and as_sum, which take four sums and one through workgroup memory; and
// what stores c, by fours if C_FOURS. Short sums are of SUM_TILES tiles, if that is not 0.
// Held may be pairs of f16, two steps of k as one: then all that is said of k here counts pairs.
// The loops marked so are unrolled: arrays in registers are indexed by constants alone.

const BAND: u32 = 8u;

// In vectors, as all that concerns tiles: row k of a tile has the vectors of four neighbours across k.
const A_TILE: u32 = BLOCK_K * BLOCK_M / 4u;
const B_TILE: u32 = BLOCK_K * BLOCK_N / 4u;
const A_ROW: u32 = BLOCK_M / 4u;
const B_ROW: u32 = BLOCK_N / 4u;
var<workgroup> a_tile: array<vec4<Held>, STAGES * A_TILE>;
var<workgroup> b_tile: array<vec4<Held>, STAGES * B_TILE>;

// What a thread loads of a tile, four numbers at a time. Across k: neighbours, or, one by one, a number of each of
// four parts of the row. Along k: neighbours, or, one by one, a number of each of four rows of a. Neighbouring
// threads load what is next to that; the next four of a thread are REACH further in the matrix, and NEXT vectors in
// the tile. Those that make no vector of a tile are stored one by one, SPREAD vectors apart.
const A_LOADS: u32 = A_TILE / THREADS;
const B_LOADS: u32 = B_TILE / THREADS;
const A_REACH: u32 = select(THREADS / A_ROW, THREADS / BLOCK_K * 4u, A_ALONG_K);
const B_REACH: u32 = select(THREADS / B_ROW, THREADS / BLOCK_K * 4u, B_ALONG_K);
const A_NEXT: u32 = select(A_REACH * A_ROW, A_REACH / 4u, A_ALONG_K);
const B_NEXT: u32 = select(B_REACH * B_ROW, B_REACH / 4u, B_ALONG_K);
const A_SPREAD: u32 = select(A_ROW / 4u, A_ROW, A_ALONG_K);
const B_SPREAD: u32 = select(B_ROW / 4u, B_ROW, B_ALONG_K);
// The steps of k that a thread loads at once.
const A_STEPS: u32 = select(1u, 4u, A_ALONG_K && A_FOURS);
const B_STEPS: u32 = select(1u, 4u, B_ALONG_K && B_FOURS);

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
    return select(0u, k / A_STEPS * select(1u, 32u / BLOCK_K, A_FOURS) % A_TURNS, A_ALONG_K);
}

fn b_turn(k: u32) -> u32 {
    return select(0u, k / B_STEPS * select(1u, 32u / BLOCK_K, B_FOURS) % B_TURNS, B_ALONG_K);
}

// Where c is not stored by fours, neighbouring threads store neighbours: they exchange a row of sums each, if all
// of these have room where b was. Rows lie turned, so that they meet all banks.
const EXCHANGES: bool = !C_FOURS && BLOCK_M / THREAD_M <= STAGES * BLOCK_K;

fn turned(held_row: u32, right: u32) -> u32 {
    return held_row * B_ROW + (right ^ (held_row % 8u));
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
    let rows = select(dims.m, (dims.m + 3u) / 4u * 4u, A_FOURS && !A_ALONG_K);
    let cols = select(dims.n, (dims.n + 3u) / 4u * 4u, B_FOURS && !B_ALONG_K);
    let row0 = select(own_row, min(own_row, rows - BLOCK_M), EDGES && !CLAMPS);
    let col0 = select(own_col, min(own_col, cols - BLOCK_N), EDGES && !CLAMPS);

    let a_k = select(t / A_ROW, t % (BLOCK_K / A_STEPS) * A_STEPS, A_ALONG_K);
    let a_m = select(t % A_ROW * select(1u, 4u, A_FOURS), t / (BLOCK_K / A_STEPS) * (4u / A_STEPS), A_ALONG_K);
    let b_k = select(t / B_ROW, t % (BLOCK_K / B_STEPS) * B_STEPS, B_ALONG_K);
    let b_n = select(t % B_ROW * select(1u, 4u, B_FOURS), t / (BLOCK_K / B_STEPS) * (4u / B_STEPS), B_ALONG_K);
    var a_from = dims.a_at + product * dims.a_step + (row0 + a_m) * dims.a_row + (k0 + a_k) * dims.a_col;
    var b_from = dims.b_at + product * dims.b_step + (k0 + b_k) * dims.b_row + (col0 + b_n) * dims.b_col;
    let a_reach = A_REACH * select(dims.a_col, dims.a_row, A_ALONG_K);
    let b_reach = B_REACH * select(dims.b_row, dims.b_col, B_ALONG_K);
    let a_apart = select(A_ROW, dims.a_row, A_ALONG_K);
    let b_apart = select(B_ROW, dims.b_col, B_ALONG_K);
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

    // Where the sums of a thread begin.
    let row = row0 + sub_row * SUB_M + lane_row * 4u;
    let col = col0 + sub_col * SUB_N + lane_col * 4u;
    let c_at = dims.c_at + group.z * dims.c_step + row * dims.c_row + col;

    let first = (k1 - k0 - 1u) % BLOCK_K + 1u;
    let tiles = (k1 - k0 - first) / BLOCK_K + 1u;
    var a_next = array<AFour, A_LOADS>();
    var b_next = array<BFour, B_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        if (a_k + select(i * A_REACH, 0u, A_ALONG_K) < first) {
            a_next[i] = a_load(a_from + i * a_reach, a_apart);
        }
    }
    for (var i = 0u; i < B_LOADS; i++) { // unroll
        if (b_k + select(i * B_REACH, 0u, B_ALONG_K) < first) {
            b_next[i] = b_load(b_from + i * b_reach, b_apart);
        }
    }
    a_from += first * dims.a_col;
    b_from += first * dims.b_row;

    var sums = array<Sums, THREAD_M * THREAD_N4>();
    var total = array<vec4<f32>, THREAD_M * THREAD_N4>();
    var stage = 0u;
    var tile = 0u;
    loop {
        let until = select(tiles, min(tiles, tile + SUM_TILES), SUM_TILES > 0u);
        for (; tile < until; tile++) {
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                let held = a_held(a_next[i]);
                let to = stage * A_TILE + a_to + i * A_NEXT;
                if (A_ALONG_K != A_FOURS) {
                    a_tile[to] = held;
                } else {
                    for (var j = 0u; j < 4u; j++) { // unroll
                        a_tile[to + j * A_SPREAD][a_m % 4u] = held[j];
                    }
                }
            }
            for (var i = 0u; i < B_LOADS; i++) { // unroll
                let held = b_held(b_next[i]);
                let to = stage * B_TILE + b_to + i * B_NEXT;
                if (B_ALONG_K != B_FOURS) {
                    b_tile[to] = held;
                } else {
                    for (var j = 0u; j < 4u; j++) { // unroll
                        b_tile[to + j * B_SPREAD][b_n % 4u] = held[j];
                    }
                }
            }
            workgroupBarrier();
            // The next tiles travel while these are multiplied.
            if (tile + 1u < tiles) {
                for (var i = 0u; i < A_LOADS; i++) { // unroll
                    a_next[i] = a_load(a_from + i * a_reach, a_apart);
                }
                for (var i = 0u; i < B_LOADS; i++) { // unroll
                    b_next[i] = b_load(b_from + i * b_reach, b_apart);
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
                        let at = i * THREAD_N4 + j;
                        sums[at] = multiply_add(a_part[i / 4u][i % 4u], b_part[j], sums[at]);
                    }
                }
            }
            if (STAGES == 1u) {
                workgroupBarrier();
            } else {
                stage = 1u - stage;
            }
        }
        for (var i = 0u; i < THREAD_M * THREAD_N4; i++) { // unroll
            total[i] += added_up(sums[i]);
            sums[i] = Sums();
        }
        if (SUM_TILES == 0u || tile == tiles) {
            break;
        }
    }

    for (var i = 0u; i < THREAD_M; i++) { // unroll
        let down = i / 4u * LANES_M * 4u + i % 4u;
        if (EXCHANGES) {
            workgroupBarrier();
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                let own = sub_col * (SUB_N / 4u) + lane_col + j * LANES_N;
                b_tile[turned(sub_row * LANES_M + lane_row, own)] = as_held(total[i * THREAD_N4 + j]);
            }
            workgroupBarrier();
            for (var j = 0u; j < THREAD_N; j++) { // unroll
                let held_row = (j * THREADS + t) / BLOCK_N;
                let right = (j * THREADS + t) % BLOCK_N;
                let y = row0 + held_row / LANES_M * SUB_M + held_row % LANES_M * 4u + down;
                let x = col0 + right;
                if (!EDGES || (y >= own_row && y < dims.m && x >= own_col && x < dims.n)) {
                    let at = dims.c_at + group.z * dims.c_step + y * dims.c_row + x;
                    c_one(at, x, as_sum(b_tile[turned(held_row, right / 4u)][right % 4u]));
                }
            }
        } else {
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                let y = row + down;
                let x = col + j * LANES_N * 4u;
                if (!EDGES || (y >= own_row && y < dims.m && x + 3u >= own_col && x < dims.n)) {
                    c_from(own_col, c_at + down * dims.c_row + j * LANES_N * 4u, x, total[i * THREAD_N4 + j]);
                }
            }
        }
    }
}
