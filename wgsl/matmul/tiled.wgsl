// tiled: c[m, n] = sum_k a[m, k] * b[k, n], at any strides. One thread per element of c.
// A workgroup computes a TILE x TILE block of c and shares TILE x TILE blocks of a and b.
// Dispatch (ceil(cols / TILE), ceil(rows / TILE), products * splits); dims.wgsl says over what.
// Workgroup memory 2 * TILE^2 * 4 bytes.

override TILE: u32;

struct Dims {
    m: u32,
    n: u32,
    k: u32,
    row0: u32,
    col0: u32,
    k0: u32,
    k1: u32,
    accumulate: u32,
    finishes: u32,
    splits: u32,
    depth: u32,
    a_at: u32,
    a_step: u32,
    a_row: u32,
    a_col: u32,
    b_at: u32,
    b_step: u32,
    b_row: u32,
    b_col: u32,
    c_at: u32,
    c_step: u32,
    c_row: u32,
    c_col: u32,
    bias_by_row: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> dims: Dims;

// Flat: an override may size only the outermost dimension of an array.
var<workgroup> a_tile: array<f32, TILE * TILE>;
var<workgroup> b_tile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = dims.row0 + group.y * TILE + local.y;
    let col = dims.col0 + group.x * TILE + local.x;
    let slot = local.y * TILE + local.x;
    let product = group.z / dims.splits;
    let k_first = dims.k0 + group.z % dims.splits * dims.depth;
    let k_end = min(dims.k1, k_first + dims.depth);
    // Loads outside the matrices are moved to their last element instead of branched around (6 % on an H200);
    // along k a zero replaces what they read, and the rows and columns beyond the edge are never stored.
    let a_row = dims.a_at + product * dims.a_step + min(row, dims.m - 1u) * dims.a_row;
    let b_col = dims.b_at + product * dims.b_step + min(col, dims.n - 1u) * dims.b_col;
    var sum = 0.0;
    for (var k0 = k_first; k0 < k_end; k0 += TILE) {
        let a_k = k0 + local.x;
        let b_k = k0 + local.y;
        let a_value = a[a_row + min(a_k, k_end - 1u) * dims.a_col];
        let b_value = b[b_col + min(b_k, k_end - 1u) * dims.b_row];
        a_tile[slot] = select(0.0, a_value, a_k < k_end);
        b_tile[slot] = select(0.0, b_value, b_k < k_end);
        workgroupBarrier();
        for (var i = 0u; i < TILE; i++) {
            sum += a_tile[local.y * TILE + i] * b_tile[i * TILE + local.x];
        }
        workgroupBarrier();
    }
    if (row < dims.m && col < dims.n) {
        let at = dims.c_at + group.z * dims.c_step + row * dims.c_row + col;
        if (dims.accumulate == 1u) {
            sum += c[at];
        }
        c[at] = sum;
    }
}
