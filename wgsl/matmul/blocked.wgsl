// blocked: c[m, n] = sum_k a[m, k] * b[k, n]. The GEMM for GPUs: tiles in workgroup memory and in registers.
//
// Layout: a and b are contiguous along k or across it (A_ALONG_K, B_ALONG_K); the columns of c are contiguous.
//   Vectorized loads and stores where A_VEC4, B_VEC4 and C_VEC4 allow them. The axes of A_COMPOUND, B_COMPOUND and
//   C_COMPOUND matrices are compound (compound.wgsl); four elements that are accessed as a vec4 are neighbours.
// Dispatch: (ceil(cols / BLOCK_N), ceil(rows / BLOCK_M), products * split_k); uniforms.wgsl defines the region.
// Workgroup: THREADS threads, SLICE_K for each THREAD_M x THREAD_N of the block.
// Workgroup memory: STAGES * BLOCK_K * (BLOCK_M + BLOCK_N) elements of 4 bytes. Tiles are k-major, in vec4s across k,
//   and swizzled against bank conflicts.
//
// Tile hierarchy: block > subgroup > panel > thread.
//
//     n ->
//   m +- block: BLOCK_M x BLOCK_N -+  +- subgroup: SUBGROUP_M x SUBGROUP_N -+  +- panel: 4 * LANES_M x 4 * LANES_N -+
//   | | subgroup 0 | subgroup 1 |..|  | panel 0, 0 | panel 0, 1 | ...       |  | lane 0: 4 x 4 | lane 1: 4 x 4 | .. |
//   v +------------+------------+--+  +------------+------------+-----------+  +---------------+---------------+----+
//     | ...        | ...        |..|  | panel 1, 0 | panel 1, 1 | ...       |  | lane LANES_N  | ...           | .. |
//     +------------+------------+--+  +------------+------------+-----------+  +---------------+---------------+----+
//
//   A lane has the same place in each of the THREAD_M / 4 x THREAD_N / 4 panels of its subgroup: in all,
//   THREAD_M x THREAD_N accumulators in registers.
//
// Along k, one BLOCK_K tile of a and b at a time:
//   STAGES = 2     double buffering: one barrier per tile. 1: one buffer, two barriers.
//   SLICE_K = 2    slice-K: slice 0 multiplies the lower half of each tile, slice 1 the upper half, and their
//                  accumulators are added at the end.
//   Global loads of the next tile are issued before the current one is multiplied, and wait in registers.
//   K tail: the first K tile is the partial one and is zero-padded, so the main loop needs no bounds check.
//
// Edges of c: a block that would extend beyond the edge is shifted back inside, and stores only the elements that no
//   other block stores. Where c is smaller than a block, loads are clamped to the end of the buffer, and stores are
//   guarded.
//
// Appended:
//   BLOCK_M, BLOCK_N, BLOCK_K      the tile of a workgroup
//   THREAD_M, THREAD_N             the accumulators of a thread, multiples of 4
//   LANES_M, LANES_N               the shape of a subgroup: LANES_M * LANES_N = 32
//   STAGES, SLICE_K                1 or 2, see above
//   THREADS                        BLOCK_M / THREAD_M * (BLOCK_N / THREAD_N) * SLICE_K
//   FLUSH_TILES                    tiles until f16 accumulators are added to f32 ones; 0: the accumulators are f32
//   A_ALONG_K, B_ALONG_K           the axis of stride 1 is k
//   A_VEC4, B_VEC4, C_VEC4         accesses are vec4s
//   A_COMPOUND, B_COMPOUND         the axes of the matrix are compound
//   C_COMPOUND, C_M_COMPOUND, C_N_COMPOUND
//                                  an axis of c is compound; which
//   A_BOUNDED, B_BOUNDED           the compound matrix, accessed as vec4s, is zero outside of an image
//   BIAS_BY_ROW                    the bias is indexed by row
//   EDGES, CLAMP_LOADS             blocks may extend beyond c; loads may leave the buffers
//   TileElement                    what is multiplied: f32, or a half2 in a u32. For half2, k counts pairs.
//   Acc                            the accumulators of four neighbouring columns
//   AFetch, fetch_a, convert_a     four elements as loaded; load them, `stride` apart if not a vec4; make TileElements
//   gather_a                       loads four elements of a compound matrix by their indices, or the vec4 at the first
//   BFetch, fetch_b, gather_b, convert_b
//                                  likewise for b
//   multiply_add, acc_to_f32       acc + a * b; the four sums in f32
//   f32_to_tile, tile_to_f32, tile_scalar_to_f32
//                                  bitcast sums to TileElements and back, to pass them through workgroup memory
//   Uniforms, compound.wgsl, and the functions of access.py: store_c, store_c_vec4_from (with the epilogue), row_bias
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

// Register prefetch: read the operands of the next step of k from the tiles while multiplying the current one. f16
// accumulators, which are kept twice, leave no registers for it.
const PREFETCH: bool = FLUSH_TILES == 0u;

// Tiles, in vec4s: row k of a tile has A_ROW vec4s across k.
const A_TILE: u32 = BLOCK_K * BLOCK_M / 4u;
const B_TILE: u32 = BLOCK_K * BLOCK_N / 4u;
const A_ROW: u32 = BLOCK_M / 4u;
const B_ROW: u32 = BLOCK_N / 4u;
var<workgroup> a_tile: array<vec4<TileElement>, STAGES * A_TILE>;
var<workgroup> b_tile: array<vec4<TileElement>, STAGES * B_TILE>;

// Loads of a thread per tile, four elements each: a vec4 across k; a vec4 along k, which is stored element by element;
// or, for scalar loads along k, an element of each of four neighbours across k. Neighbouring threads make neighbouring
// loads. The next load of a thread is LOAD_STRIDE rows or columns further in the matrix, and STORE_STRIDE vec4s further
// in the tile.
const A_LOADS: u32 = A_TILE / THREADS;
const B_LOADS: u32 = B_TILE / THREADS;
const A_LOAD_STRIDE: u32 = select(THREADS / A_ROW, THREADS / BLOCK_K * 4u, A_ALONG_K);
const B_LOAD_STRIDE: u32 = select(THREADS / B_ROW, THREADS / BLOCK_K * 4u, B_ALONG_K);
const A_STORE_STRIDE: u32 = select(A_LOAD_STRIDE * A_ROW, A_LOAD_STRIDE / 4u, A_ALONG_K);
const B_STORE_STRIDE: u32 = select(B_LOAD_STRIDE * B_ROW, B_LOAD_STRIDE / 4u, B_ALONG_K);
// Steps of k in one load.
const A_LOAD_K: u32 = select(1u, 4u, A_ALONG_K && A_VEC4);
const B_LOAD_K: u32 = select(1u, 4u, B_ALONG_K && B_VEC4);

// Compound axes: where a thread is along k, and its lines across k, of which scalar loads take four. Loads along k share
// the place, loads across k the line.
const A_WALKS: u32 = select(1u, select(A_LOADS, 1u, A_ALONG_K), A_COMPOUND);
const B_WALKS: u32 = select(1u, select(B_LOADS, 1u, B_ALONG_K), B_COMPOUND);
const A_LINES: u32 = select(1u, A_LOADS, A_COMPOUND && A_ALONG_K);
const B_LINES: u32 = select(1u, B_LOADS, B_COMPOUND && B_ALONG_K);

// The tile of a subgroup; SLICE_DEPTH is the steps of k that it multiplies in each tile.
const SUBGROUP_M: u32 = LANES_M * THREAD_M;
const SUBGROUP_N: u32 = LANES_N * THREAD_N;
const SUBGROUPS_N: u32 = BLOCK_N / SUBGROUP_N;
const SLICE_DEPTH: u32 = BLOCK_K / SLICE_K;
const THREAD_M4: u32 = THREAD_M / 4u;
const THREAD_N4: u32 = THREAD_N / 4u;
alias ThreadAcc = array<Acc, THREAD_M * THREAD_N4>;

// Swizzle: vec4 i of row k is stored at i ^ a_swizzle(k), so that the stores of a subgroup along k use all banks.
// A_PERIOD is the number of swizzles. Reads use A_BASES precomputed bases, and constant offsets from them.
const A_PERIOD: u32 = max(1u, min(8u, min(SUBGROUP_M, A_LOAD_STRIDE) / 4u));
const B_PERIOD: u32 = max(1u, min(8u, min(SUBGROUP_N, B_LOAD_STRIDE) / 4u));
const A_BASES: u32 = min(A_PERIOD, LANES_M);
const B_BASES: u32 = min(B_PERIOD, LANES_N);

fn a_swizzle(k: u32) -> u32 {
    return select(0u, select(k, swizzle_of_vec4(k), A_VEC4) % A_PERIOD, A_ALONG_K);
}

fn b_swizzle(k: u32) -> u32 {
    return select(0u, select(k, swizzle_of_vec4(k), B_VEC4) % B_PERIOD, B_ALONG_K);
}

// The same in both halves of the steps of k but for the lowest bit, so that the two slices differ in that bit only.
fn swizzle_of_vec4(k: u32) -> u32 {
    return (k % (BLOCK_K / 2u) / 4u * 2u + k / (BLOCK_K / 2u)) * (32u / BLOCK_K);
}

// The addresses of the four lines that begin with `line`, of a compound axis.
fn lines_at(start: u32, line: u32, sizes: vec2<u32>, strides: vec4<u32>) -> vec4<u32> {
    return start + vec4(
        along(line, sizes, strides),
        along(line + 1u, sizes, strides),
        along(line + 2u, sizes, strides),
        along(line + 3u, sizes, strides),
    );
}

// Stores four elements in a tile: as vec4 `index`, or, of a vec4 along k, as component `lane` of four rows.
fn store_a_tile(index: u32, lane: u32, elements: vec4<TileElement>) {
    if (A_ALONG_K && A_VEC4) {
        for (var j = 0u; j < 4u; j++) { // unroll
            a_tile[index + j * A_ROW][lane] = elements[j];
        }
    } else {
        a_tile[index] = elements;
    }
}

fn store_b_tile(index: u32, lane: u32, elements: vec4<TileElement>) {
    if (B_ALONG_K && B_VEC4) {
        for (var j = 0u; j < 4u; j++) { // unroll
            b_tile[index + j * B_ROW][lane] = elements[j];
        }
    } else {
        b_tile[index] = elements;
    }
}

// The end of the kernel reuses b_tile as the exchange buffer: for the slices to add their accumulators, and, without
// vec4 stores, to transpose them so that scalar stores are coalesced (COALESCE, if the rows fit). Each thread stores
// STORE_ROWS rows of accumulators, ROUND_ROWS of them per round: as many as fit. BLOCK_ROWS is the threads along m.
const STORE_ROWS: u32 = THREAD_M / SLICE_K;
const BLOCK_ROWS: u32 = BLOCK_M / THREAD_M;
const EXCHANGE_ROWS: u32 = STAGES * BLOCK_K / (SLICE_K * BLOCK_ROWS);
const ROUND_ROWS: u32 = max(1u, min(STORE_ROWS, EXCHANGE_ROWS));
const COALESCE: bool = !C_VEC4 && EXCHANGE_ROWS > 0u;

// The index of a vec4 in the exchange buffer; swizzled against bank conflicts.
fn exchange_index(row: u32, col4: u32) -> u32 {
    return row * B_ROW + (col4 ^ (row % 8u));
}

// The distance of accumulator row i of a thread from its first row.
fn row_offset(i: u32) -> u32 {
    return i / 4u * LANES_M * 4u + i % 4u;
}

// acc += a * b, one step of k. Serpentine order along the rows: each product shares a factor with the previous one.
fn multiply(
    a: array<vec4<TileElement>, THREAD_M4>,
    b: array<vec4<TileElement>, THREAD_N4>,
    acc: ptr<function, ThreadAcc>,
) {
    for (var i = 0u; i < THREAD_M; i++) { // unroll
        for (var step = 0u; step < THREAD_N4; step++) { // unroll
            const j = select(step, THREAD_N4 - 1u - step, i % 2u == 1u);
            acc[i * THREAD_N4 + j] = multiply_add(a[i / 4u][i % 4u], b[j], acc[i * THREAD_N4 + j]);
        }
    }
}

// Rows of blocks in a band of the rasterization order.
const BAND_BLOCKS: u32 = 8u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the k range of this split
    let product = group.z / uniforms.split_k;
    let k0 = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = min(uniforms.k1, k0 + uniforms.k_per_split);
    bias_start = uniforms.bias_offset + product * uniforms.bias_batch_stride;

    // Find the block. One that extends beyond the edge is shifted back inside, to (row0, col0)
    let block = banded(group, groups, BAND_BLOCKS);
    let block_row = uniforms.row0 + block.x * BLOCK_M;
    let block_col = uniforms.col0 + block.y * BLOCK_N;
    let rows = select(uniforms.m, (uniforms.m + 3u) / 4u * 4u, A_VEC4 && !A_ALONG_K);
    let cols = select(uniforms.n, (uniforms.n + 3u) / 4u * 4u, B_VEC4 && !B_ALONG_K);
    let row0 = select(block_row, min(block_row, rows - BLOCK_M), EDGES && !CLAMP_LOADS);
    let col0 = select(block_col, min(block_col, cols - BLOCK_N), EDGES && !CLAMP_LOADS);

    // Global loads: this thread's first load in the tile (k, m) and (k, n), where it reads and where it stores
    let a_k = select(t / A_ROW, t % (BLOCK_K / A_LOAD_K) * A_LOAD_K, A_ALONG_K);
    let a_m = select(t % A_ROW * 4u, t / (BLOCK_K / A_LOAD_K) * (4u / A_LOAD_K), A_ALONG_K);
    let b_k = select(t / B_ROW, t % (BLOCK_K / B_LOAD_K) * B_LOAD_K, B_ALONG_K);
    let b_n = select(t % B_ROW * 4u, t / (BLOCK_K / B_LOAD_K) * (4u / B_LOAD_K), B_ALONG_K);
    var a_index = uniforms.a_offset + product * uniforms.a_batch_stride + (row0 + a_m) * uniforms.a_row_stride
        + (k0 + a_k) * uniforms.a_col_stride;
    var b_index = uniforms.b_offset + product * uniforms.b_batch_stride + (k0 + b_k) * uniforms.b_row_stride
        + (col0 + b_n) * uniforms.b_col_stride;
    let a_load_stride = A_LOAD_STRIDE * select(uniforms.a_col_stride, uniforms.a_row_stride, A_ALONG_K);
    let b_load_stride = B_LOAD_STRIDE * select(uniforms.b_row_stride, uniforms.b_col_stride, B_ALONG_K);
    let a_fetch_stride = select(1u, uniforms.a_row_stride, A_ALONG_K);
    let b_fetch_stride = select(1u, uniforms.b_col_stride, B_ALONG_K);
    var k_step = vec3<u32>();
    if (A_COMPOUND || B_COMPOUND) {
        k_step = digits(BLOCK_K, uniforms.k_sizes);
    }
    var a_walk = array<Walk, A_WALKS>();
    var b_walk = array<Walk, B_WALKS>();
    var a_line = array<vec4<u32>, A_LINES>();
    var a_place = array<u32, A_LINES>();
    var b_line = array<vec4<u32>, B_LINES>();
    var b_place = array<u32, B_LINES>();
    if (A_COMPOUND) {
        let start = uniforms.a_offset + product * uniforms.a_batch_stride;
        for (var i = 0u; i < A_LINES; i++) { // unroll
            a_line[i] = lines_at(start, row0 + a_m + i * A_LOAD_STRIDE, uniforms.m_sizes, uniforms.a_m);
            a_place[i] = along(row0 + a_m + i * A_LOAD_STRIDE, uniforms.m_sizes, uniforms.line_places);
        }
        for (var i = 0u; i < A_WALKS; i++) { // unroll
            a_walk[i] = walk_from(k0 + a_k + i * A_LOAD_STRIDE, uniforms.a_k);
        }
    }
    if (B_COMPOUND) {
        let start = uniforms.b_offset + product * uniforms.b_batch_stride;
        for (var i = 0u; i < B_LINES; i++) { // unroll
            b_line[i] = lines_at(start, col0 + b_n + i * B_LOAD_STRIDE, uniforms.n_sizes, uniforms.b_n);
            b_place[i] = along(col0 + b_n + i * B_LOAD_STRIDE, uniforms.n_sizes, uniforms.line_places);
        }
        for (var i = 0u; i < B_WALKS; i++) { // unroll
            b_walk[i] = walk_from(k0 + b_k + i * B_LOAD_STRIDE, uniforms.b_k);
        }
    }
    let a_store = a_k * A_ROW + ((a_m / 4u) ^ a_swizzle(a_k));
    let b_store = b_k * B_ROW + ((b_n / 4u) ^ b_swizzle(b_k));

    // Find the subgroup and the lane, and where they read the tiles
    let slice = t / (THREADS / SLICE_K);
    let subgroup = t % (THREADS / SLICE_K) / 32u;
    let subgroup_row = subgroup / SUBGROUPS_N;
    let subgroup_col = subgroup % SUBGROUPS_N;
    let lane_row = t % 32u / LANES_N;
    let lane_col = t % 32u % LANES_N;
    let slice_k = slice * SLICE_DEPTH;
    var a_read = array<u32, A_BASES>();
    for (var i = 0u; i < A_BASES; i++) { // unroll
        a_read[i] = slice_k * A_ROW + subgroup_row * (SUBGROUP_M / 4u) + (lane_row ^ a_swizzle(slice_k) ^ i);
    }
    var b_read = array<u32, B_BASES>();
    for (var j = 0u; j < B_BASES; j++) { // unroll
        b_read[j] = slice_k * B_ROW + subgroup_col * (SUBGROUP_N / 4u) + (lane_col ^ b_swizzle(slice_k) ^ j);
    }

    // Find this thread's first element of c
    let row = row0 + subgroup_row * SUBGROUP_M + lane_row * 4u;
    let col = col0 + subgroup_col * SUBGROUP_N + lane_col * 4u;
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    let c_index = c_start + row * uniforms.c_row_stride + col;

    // Load the first K tile, the partial one: k_tail steps, the rest zero
    let k_tail = (k1 - k0 - 1u) % BLOCK_K + 1u;
    let tiles = (k1 - k0 - k_tail) / BLOCK_K + 1u;
    var a_next = array<AFetch, A_LOADS>();
    var b_next = array<BFetch, B_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        if (a_k + select(i * A_LOAD_STRIDE, 0u, A_ALONG_K) < k_tail) {
            if (A_COMPOUND) {
                let walk = a_walk[i % A_WALKS];
                if (A_BOUNDED && !is_inside(a_place[i % A_LINES] + walk.place)) {
                    a_next[i] = AFetch();
                } else {
                    a_next[i] = gather_a(a_line[i % A_LINES] + walk.index);
                }
            } else {
                a_next[i] = fetch_a(a_index + i * a_load_stride, a_fetch_stride);
            }
        }
    }
    for (var i = 0u; i < B_LOADS; i++) { // unroll
        if (b_k + select(i * B_LOAD_STRIDE, 0u, B_ALONG_K) < k_tail) {
            if (B_COMPOUND) {
                let walk = b_walk[i % B_WALKS];
                if (B_BOUNDED && !is_inside(b_place[i % B_LINES] + walk.place)) {
                    b_next[i] = BFetch();
                } else {
                    b_next[i] = gather_b(b_line[i % B_LINES] + walk.index);
                }
            } else {
                b_next[i] = fetch_b(b_index + i * b_load_stride, b_fetch_stride);
            }
        }
    }
    a_index += k_tail * uniforms.a_col_stride;
    b_index += k_tail * uniforms.b_row_stride;
    if (A_COMPOUND) {
        for (var i = 0u; i < A_WALKS; i++) { // unroll
            a_walk[i] = walk_from(k0 + k_tail + a_k + i * A_LOAD_STRIDE, uniforms.a_k);
        }
    }
    if (B_COMPOUND) {
        for (var i = 0u; i < B_WALKS; i++) { // unroll
            b_walk[i] = walk_from(k0 + k_tail + b_k + i * B_LOAD_STRIDE, uniforms.b_k);
        }
    }

    // Main loop. The outer loop flushes the accumulators to `total`: once, or, in f16, every FLUSH_TILES tiles
    var acc = ThreadAcc();
    var total = array<vec4<f32>, THREAD_M * THREAD_N4>();
    // The operands of the current step; with PREFETCH, those of the next one, and zeros at first.
    var a_part = array<vec4<TileElement>, THREAD_M4>();
    var b_part = array<vec4<TileElement>, THREAD_N4>();
    var stage = 0u;
    var tile = 0u;
    loop {
        let flush_at = select(tiles, min(tiles, tile + FLUSH_TILES), FLUSH_TILES > 0u);
        for (; tile < flush_at; tile++) {
            // Store the fetched tiles in workgroup memory
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                store_a_tile(stage * A_TILE + a_store + i * A_STORE_STRIDE, a_m % 4u, convert_a(a_next[i]));
            }
            for (var i = 0u; i < B_LOADS; i++) { // unroll
                store_b_tile(stage * B_TILE + b_store + i * B_STORE_STRIDE, b_n % 4u, convert_b(b_next[i]));
            }
            workgroupBarrier();
            // Fetch the next tiles: their latency is hidden by the multiplications
            if (tile + 1u < tiles) {
                for (var i = 0u; i < A_LOADS; i++) { // unroll
                    if (A_COMPOUND) {
                        let walk = a_walk[i % A_WALKS];
                        if (A_BOUNDED && !is_inside(a_place[i % A_LINES] + walk.place)) {
                            a_next[i] = AFetch();
                        } else {
                            a_next[i] = gather_a(a_line[i % A_LINES] + walk.index);
                        }
                    } else {
                        a_next[i] = fetch_a(a_index + i * a_load_stride, a_fetch_stride);
                    }
                }
                for (var i = 0u; i < B_LOADS; i++) { // unroll
                    if (B_COMPOUND) {
                        let walk = b_walk[i % B_WALKS];
                        if (B_BOUNDED && !is_inside(b_place[i % B_LINES] + walk.place)) {
                            b_next[i] = BFetch();
                        } else {
                            b_next[i] = gather_b(b_line[i % B_LINES] + walk.index);
                        }
                    } else {
                        b_next[i] = fetch_b(b_index + i * b_load_stride, b_fetch_stride);
                    }
                }
                a_index += BLOCK_K * uniforms.a_col_stride;
                b_index += BLOCK_K * uniforms.b_row_stride;
                if (A_COMPOUND) {
                    for (var i = 0u; i < A_WALKS; i++) { // unroll
                        a_walk[i] = walk_on(a_walk[i], k_step, uniforms.a_k);
                    }
                }
                if (B_COMPOUND) {
                    for (var i = 0u; i < B_WALKS; i++) { // unroll
                        b_walk[i] = walk_on(b_walk[i], k_step, uniforms.b_k);
                    }
                }
            }
            // Multiply this slice of the tiles
            for (var k = 0u; k < SLICE_DEPTH; k++) { // unroll
                let a_at = stage * A_TILE + k * A_ROW + a_read[a_swizzle(k) % A_BASES];
                let b_at = stage * B_TILE + k * B_ROW + b_read[b_swizzle(k) % B_BASES];
                let a_previous = a_part;
                let b_previous = b_part;
                for (var i = 0u; i < THREAD_M4; i++) { // unroll
                    a_part[i] = a_tile[a_at + (i ^ (a_swizzle(k) / A_BASES)) * LANES_M];
                }
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    b_part[j] = b_tile[b_at + (j ^ (b_swizzle(k) / B_BASES)) * LANES_N];
                }
                if (PREFETCH) {
                    multiply(a_previous, b_previous, &acc);
                } else {
                    multiply(a_part, b_part, &acc);
                }
            }
            // Double buffering: the next tile goes to the other buffer, so no barrier is needed here
            if (STAGES == 1u) {
                workgroupBarrier();
            } else {
                stage = 1u - stage;
            }
        }
        // Flush
        let ends = PREFETCH || tile == tiles;
        if (PREFETCH && ends) {
            multiply(a_part, b_part, &acc);
        }
        for (var i = 0u; i < THREAD_M * THREAD_N4; i++) { // unroll
            total[i] += acc_to_f32(acc[i]);
            acc[i] = Acc();
        }
        if (ends) {
            break;
        }
    }

    // Store c, ROUND_ROWS rows of each thread per round
    let thread_row = subgroup_row * LANES_M + lane_row;
    let thread_col4 = subgroup_col * (SUBGROUP_N / 4u) + lane_col;
    for (var round = 0u; round < STORE_ROWS / ROUND_ROWS; round++) { // unroll
        const first_row = round * ROUND_ROWS * SLICE_K;
        if (SLICE_K == 2u || COALESCE) {
            workgroupBarrier();
        }
        // Slice-K reduction: of each two rows, slice 0 keeps the first and gives away the second, slice 1 vice versa
        if (SLICE_K == 2u) {
            for (var i = 0u; i < ROUND_ROWS; i++) { // unroll
                for (var j = 0u; j < THREAD_N4; j++) { // unroll
                    const at = (first_row + i * SLICE_K) * THREAD_N4 + j;
                    const below = at + (SLICE_K - 1u) * THREAD_N4;
                    let given = select(total[below], total[at], slice == 1u);
                    total[at] = select(total[at], total[below], slice == 1u);
                    let to_row = (i * SLICE_K + slice) * BLOCK_ROWS + thread_row;
                    b_tile[exchange_index(to_row, thread_col4 + j * LANES_N)] = f32_to_tile(given);
                }
            }
            workgroupBarrier();
        }
        // Epilogue from registers, or, with COALESCE, the sums go to the exchange buffer. A thread writes only where no
        // other thread has read: no barrier in between
        for (var i = 0u; i < ROUND_ROWS; i++) { // unroll
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                const at = (first_row + i * SLICE_K) * THREAD_N4 + j;
                let place = exchange_index(
                    (i * SLICE_K + SLICE_K - 1u - slice) * BLOCK_ROWS + thread_row,
                    thread_col4 + j * LANES_N,
                );
                if (SLICE_K == 2u) {
                    total[at] += tile_to_f32(b_tile[place]);
                }
                if (COALESCE) {
                    b_tile[place] = f32_to_tile(total[at]);
                } else {
                    let down = row_offset(first_row + i * SLICE_K + slice);
                    let y = row + down;
                    let x = col + j * LANES_N * 4u;
                    if (!EDGES || (y >= block_row && y < uniforms.m && x + 3u >= block_col && x < uniforms.n)) {
                        var index = c_index + down * uniforms.c_row_stride + j * LANES_N * 4u;
                        if (C_COMPOUND) {
                            index = c_start + c_distance(y, x);
                        }
                        if (BIAS_BY_ROW) {
                            total[at] += row_bias(y);
                        }
                        store_c_vec4_from(block_col, index, x, total[at]);
                    }
                }
            }
        }
        // Epilogue, coalesced: neighbouring threads store neighbouring columns. All reads precede the first store:
        // stores are slow
        if (COALESCE) {
            workgroupBarrier();
            var sums = array<f32, ROUND_ROWS * THREAD_N>();
            for (var j = 0u; j < ROUND_ROWS * THREAD_N; j++) { // unroll
                let from_row = (j * THREADS + t) / BLOCK_N;
                let from_col = (j * THREADS + t) % BLOCK_N;
                sums[j] = tile_scalar_to_f32(b_tile[exchange_index(from_row, from_col / 4u)][from_col % 4u]);
            }
            for (var j = 0u; j < ROUND_ROWS * THREAD_N; j++) { // unroll
                let from_row = (j * THREADS + t) / BLOCK_N;
                let from_thread = from_row % BLOCK_ROWS;
                let down = row_offset(first_row + ((from_row / BLOCK_ROWS) ^ (SLICE_K - 1u)));
                let y = row0 + from_thread / LANES_M * SUBGROUP_M + from_thread % LANES_M * 4u + down;
                let x = col0 + (j * THREADS + t) % BLOCK_N;
                if (!EDGES || (y >= block_row && y < uniforms.m && x >= block_col && x < uniforms.n)) {
                    var index = c_start + y * uniforms.c_row_stride + x;
                    if (C_COMPOUND) {
                        index = c_start + c_distance(y, x);
                    }
                    if (BIAS_BY_ROW) {
                        sums[j] += row_bias(y);
                    }
                    store_c(index, x, sums[j]);
                }
            }
        }
    }
}
