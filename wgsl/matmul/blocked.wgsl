// blocked: c[m, n] = sum_k a[m, k] * b[k, n]. One stride of a is 1, and one of b.
// A workgroup computes BLOCK_M x BLOCK_N of c and shares BLOCK_K columns of a and rows of b at a time; each of
// its threads keeps THREAD_M x THREAD_N sums in registers, so that a number read once is used many times. With two
// SLICES there are two threads for each sum: each adds up half the steps of every tile, and at the end one takes both.
// Dispatch (ceil(cols / BLOCK_N), ceil(rows / BLOCK_M), products * splits); dims.wgsl says over what.
// Workgroup memory STAGES * BLOCK_K * (BLOCK_M + BLOCK_N) numbers of type Held, four bytes each.
// A block that would reach over the edge of c begins earlier; where c is smaller than a block, rows and columns
// beyond the edge are read from where the buffer ends, and never stored. Along k zeros take the place of what
// is not there: in the first tile, the only one that may be short, so that the loop need not ask.
// Appended: the constants named here; A_ALONG_K and B_ALONG_K, which say whether the stride of 1 is that of k, and
// A_FOURS and B_FOURS, whether four neighbours are loaded at once; LANES_M and LANES_N, how 32 neighbouring threads
// lie in c; THREADS; dims.wgsl; a_load and b_load, which load AFour and BFour, four numbers as they are stored, and
// a_held and b_held, which make Held of them, what is multiplied; Sums, those of a row of four, multiply_add and
// added_up, which gives them in f32; as_held, as_sums and as_sum, which take these through workgroup memory; and what
// stores c, by fours if C_FOURS. Short sums are of SUM_TILES tiles, if that is not 0.
// Held may be pairs of f16, two steps of k as one: then all that is said of k here counts pairs.
// The loops marked so are unrolled: arrays in registers are indexed by constants alone.

const BAND: u32 = 8u;

// Whether a step's numbers are read while those of the step before are multiplied: it takes registers that short
// sums, which are kept twice, do not leave.
const AHEAD: bool = SUM_TILES == 0u;

// In vectors, as all that concerns tiles: row k of a tile has the vectors of four neighbours across k.
const A_TILE: u32 = BLOCK_K * BLOCK_M / 4u;
const B_TILE: u32 = BLOCK_K * BLOCK_N / 4u;
const A_ROW: u32 = BLOCK_M / 4u;
const B_ROW: u32 = BLOCK_N / 4u;
var<workgroup> a_tile: array<vec4<Held>, STAGES * A_TILE>;
var<workgroup> b_tile: array<vec4<Held>, STAGES * B_TILE>;

// What a thread loads of a tile, four numbers at a time. Across k: neighbours. Along k: neighbours, which are stored
// one by one, as they make no vector of a tile, or, loaded one by one, a number of each of four rows of a.
// Neighbouring threads load what is next to that; the next four of a thread are REACH further in the matrix, and NEXT
// vectors in the tile.
const A_LOADS: u32 = A_TILE / THREADS;
const B_LOADS: u32 = B_TILE / THREADS;
const A_REACH: u32 = select(THREADS / A_ROW, THREADS / BLOCK_K * 4u, A_ALONG_K);
const B_REACH: u32 = select(THREADS / B_ROW, THREADS / BLOCK_K * 4u, B_ALONG_K);
const A_NEXT: u32 = select(A_REACH * A_ROW, A_REACH / 4u, A_ALONG_K);
const B_NEXT: u32 = select(B_REACH * B_ROW, B_REACH / 4u, B_ALONG_K);
// The steps of k that a thread loads at once.
const A_STEPS: u32 = select(1u, 4u, A_ALONG_K && A_FOURS);
const B_STEPS: u32 = select(1u, 4u, B_ALONG_K && B_FOURS);

// A subgroup of 32 threads computes SUB_M x SUB_N, in SLICE steps of each tile.
const SUB_M: u32 = LANES_M * THREAD_M;
const SUB_N: u32 = LANES_N * THREAD_N;
const SUBS_N: u32 = BLOCK_N / SUB_N;
const SLICE: u32 = BLOCK_K / SLICES;
const THREAD_M4: u32 = THREAD_M / 4u;
const THREAD_N4: u32 = THREAD_N / 4u;
alias AllSums = array<Sums, THREAD_M * THREAD_N4>;

// Vector i of row k lies at i ^ turn(k), so that what a subgroup stores along k meets all banks of the memory.
const A_TURNS: u32 = max(1u, min(8u, min(SUB_M, A_REACH) / 4u));
const B_TURNS: u32 = max(1u, min(8u, min(SUB_N, B_REACH) / 4u));
const A_BASES: u32 = min(A_TURNS, LANES_M);
const B_BASES: u32 = min(B_TURNS, LANES_N);

fn a_turn(k: u32) -> u32 {
    return select(0u, select(k, turn_of_fours(k), A_FOURS) % A_TURNS, A_ALONG_K);
}

fn b_turn(k: u32) -> u32 {
    return select(0u, select(k, turn_of_fours(k), B_FOURS) % B_TURNS, B_ALONG_K);
}

// In the upper half of the steps as in the lower, but for one low bit, so that slices differ by that alone.
fn turn_of_fours(k: u32) -> u32 {
    return (k % (BLOCK_K / 2u) / 4u * 2u + k / (BLOCK_K / 2u)) * (32u / BLOCK_K);
}

// Of each of SLICES rows of sums a thread stores one. Sums go through where b was, where slices add up each other's,
// and, where c is not stored by fours, neighbouring threads come to store neighbours, if there is room: a row of each
// thread at a time, or, with more room, those of a ROUND. Rows lie turned, to meet all banks.
const ROWS: u32 = THREAD_M / SLICES;
const HELD_ROWS: u32 = BLOCK_M / THREAD_M;
const ROOM: u32 = STAGES * BLOCK_K / (SLICES * HELD_ROWS);
const ROUND: u32 = max(1u, min(ROWS, ROOM));
const EXCHANGES: bool = !C_FOURS && ROOM > 0u;

fn turned(held_row: u32, right: u32) -> u32 {
    return held_row * B_ROW + (right ^ (held_row % 8u));
}

// How far below the first of a thread's rows row i is.
fn down(i: u32) -> u32 {
    return i / 4u * LANES_M * 4u + i % 4u;
}

// There and back along the rows of sums, so that a product shares a factor with the one before it.
fn multiply(a: array<vec4<Held>, THREAD_M4>, b: array<vec4<Held>, THREAD_N4>, sums: ptr<function, AllSums>) {
    for (var i = 0u; i < THREAD_M; i++) { // unroll
        for (var turn = 0u; turn < THREAD_N4; turn++) { // unroll
            const j = select(turn, THREAD_N4 - 1u - turn, i % 2u == 1u);
            sums[i * THREAD_N4 + j] = multiply_add(a[i / 4u][i % 4u], b[j], sums[i * THREAD_N4 + j]);
        }
    }
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
    let a_m = select(t % A_ROW * 4u, t / (BLOCK_K / A_STEPS) * (4u / A_STEPS), A_ALONG_K);
    let b_k = select(t / B_ROW, t % (BLOCK_K / B_STEPS) * B_STEPS, B_ALONG_K);
    let b_n = select(t % B_ROW * 4u, t / (BLOCK_K / B_STEPS) * (4u / B_STEPS), B_ALONG_K);
    var a_from = dims.a_at + product * dims.a_step + (row0 + a_m) * dims.a_row + (k0 + a_k) * dims.a_col;
    var b_from = dims.b_at + product * dims.b_step + (k0 + b_k) * dims.b_row + (col0 + b_n) * dims.b_col;
    let a_reach = A_REACH * select(dims.a_col, dims.a_row, A_ALONG_K);
    let b_reach = B_REACH * select(dims.b_row, dims.b_col, B_ALONG_K);
    let a_apart = select(1u, dims.a_row, A_ALONG_K);
    let b_apart = select(1u, dims.b_col, B_ALONG_K);
    let a_to = a_k * A_ROW + ((a_m / 4u) ^ a_turn(a_k));
    let b_to = b_k * B_ROW + ((b_n / 4u) ^ b_turn(b_k));

    let slice = t / (THREADS / SLICES);
    let sub = t % (THREADS / SLICES) / 32u;
    let sub_row = sub / SUBS_N;
    let sub_col = sub % SUBS_N;
    let lane_row = t % 32u / LANES_N;
    let lane_col = t % 32u % LANES_N;
    let k_read = slice * SLICE;
    var a_read = array<u32, A_BASES>();
    for (var i = 0u; i < A_BASES; i++) { // unroll
        a_read[i] = k_read * A_ROW + sub_row * (SUB_M / 4u) + (lane_row ^ a_turn(k_read) ^ i);
    }
    var b_read = array<u32, B_BASES>();
    for (var j = 0u; j < B_BASES; j++) { // unroll
        b_read[j] = k_read * B_ROW + sub_col * (SUB_N / 4u) + (lane_col ^ b_turn(k_read) ^ j);
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

    var sums = AllSums();
    var total = array<vec4<f32>, THREAD_M * THREAD_N4>();
    // What is read ahead; first, zeros.
    var a_part = array<vec4<Held>, THREAD_M4>();
    var b_part = array<vec4<Held>, THREAD_N4>();
    var stage = 0u;
    var tile = 0u;
    loop {
        let until = select(tiles, min(tiles, tile + SUM_TILES), SUM_TILES > 0u);
        for (; tile < until; tile++) {
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                let held = a_held(a_next[i]);
                let to = stage * A_TILE + a_to + i * A_NEXT;
                if (A_ALONG_K && A_FOURS) {
                    for (var j = 0u; j < 4u; j++) { // unroll
                        a_tile[to + j * A_ROW][a_m % 4u] = held[j];
                    }
                } else {
                    a_tile[to] = held;
                }
            }
            for (var i = 0u; i < B_LOADS; i++) { // unroll
                let held = b_held(b_next[i]);
                let to = stage * B_TILE + b_to + i * B_NEXT;
                if (B_ALONG_K && B_FOURS) {
                    for (var j = 0u; j < 4u; j++) { // unroll
                        b_tile[to + j * B_ROW][b_n % 4u] = held[j];
                    }
                } else {
                    b_tile[to] = held;
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
            for (var k = 0u; k < SLICE; k++) { // unroll
                let a_at = stage * A_TILE + k * A_ROW + a_read[a_turn(k) % A_BASES];
                let b_at = stage * B_TILE + k * B_ROW + b_read[b_turn(k) % B_BASES];
                let a_before = a_part;
                let b_before = b_part;
                for (var i = 0u; i < THREAD_M4; i++) { // unroll
                    a_part[i] = a_tile[a_at + (i ^ (a_turn(k) / A_BASES)) * LANES_M];
                }
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    b_part[j] = b_tile[b_at + (j ^ (b_turn(k) / B_BASES)) * LANES_N];
                }
                if (AHEAD) {
                    multiply(a_before, b_before, &sums);
                } else {
                    multiply(a_part, b_part, &sums);
                }
            }
            if (STAGES == 1u) {
                workgroupBarrier();
            } else {
                stage = 1u - stage;
            }
        }
        let ends = AHEAD || tile == tiles;
        if (AHEAD && ends) {
            multiply(a_part, b_part, &sums);
        }
        for (var i = 0u; i < THREAD_M * THREAD_N4; i++) { // unroll
            total[i] += added_up(sums[i]);
            sums[i] = Sums();
        }
        if (ends) {
            break;
        }
    }

    let held_row = sub_row * LANES_M + lane_row;
    let held_col = sub_col * (SUB_N / 4u) + lane_col;
    for (var round = 0u; round < ROWS / ROUND; round++) { // unroll
        const first_row = round * ROUND * SLICES;
        if (SLICES == 2u || EXCHANGES) {
            workgroupBarrier();
        }
        if (SLICES == 2u) {
            // Of two rows the first slice keeps the first, and gives the second away.
            for (var i = 0u; i < ROUND; i++) { // unroll
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    const at = (first_row + i * SLICES) * THREAD_N4 + j;
                    const below = at + (SLICES - 1u) * THREAD_N4;
                    let given = select(total[below], total[at], slice == 1u);
                    total[at] = select(total[at], total[below], slice == 1u);
                    let to_row = (i * SLICES + slice) * HELD_ROWS + held_row;
                    b_tile[turned(to_row, held_col + j * LANES_N)] = as_held(given);
                }
            }
            workgroupBarrier();
        }
        // A thread writes only where it alone has read: no barrier between.
        for (var i = 0u; i < ROUND; i++) { // unroll
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                const at = (first_row + i * SLICES) * THREAD_N4 + j;
                let place = turned((i * SLICES + SLICES - 1u - slice) * HELD_ROWS + held_row, held_col + j * LANES_N);
                if (SLICES == 2u) {
                    total[at] += as_sums(b_tile[place]);
                }
                if (EXCHANGES) {
                    b_tile[place] = as_held(total[at]);
                } else {
                    let i_down = down(first_row + i * SLICES + slice);
                    let y = row + i_down;
                    let x = col + j * LANES_N * 4u;
                    if (!EDGES || (y >= own_row && y < dims.m && x + 3u >= own_col && x < dims.n)) {
                        c_from(own_col, c_at + i_down * dims.c_row + j * LANES_N * 4u, x, total[at]);
                    }
                }
            }
        }
        if (EXCHANGES) {
            workgroupBarrier();
            // All are read before the first is stored, which takes long.
            var one = array<f32, ROUND * THREAD_N>();
            for (var j = 0u; j < ROUND * THREAD_N; j++) { // unroll
                let from_row = (j * THREADS + t) / BLOCK_N;
                let right = (j * THREADS + t) % BLOCK_N;
                one[j] = as_sum(b_tile[turned(from_row, right / 4u)][right % 4u]);
            }
            for (var j = 0u; j < ROUND * THREAD_N; j++) { // unroll
                let from_row = (j * THREADS + t) / BLOCK_N;
                let held = from_row % HELD_ROWS;
                let i_down = down(first_row + ((from_row / HELD_ROWS) ^ (SLICES - 1u)));
                let y = row0 + held / LANES_M * SUB_M + held % LANES_M * 4u + i_down;
                let x = col0 + (j * THREADS + t) % BLOCK_N;
                if (!EDGES || (y >= own_row && y < dims.m && x >= own_col && x < dims.n)) {
                    c_one(dims.c_at + group.z * dims.c_step + y * dims.c_row + x, x, one[j]);
                }
            }
        }
    }
}
