// naive: c[m, n] = sum_k a[m, k] * b[k, n], at any strides. One thread per element of c, no sharing.
// Dispatch (ceil(cols / 16), ceil(rows / 16), products * splits); dims.wgsl says over what. Workgroup memory: none.

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

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = dims.row0 + id.y;
    let col = dims.col0 + id.x;
    if (row >= dims.m || col >= dims.n) {
        return;
    }
    let product = id.z / dims.splits;
    let k0 = dims.k0 + id.z % dims.splits * dims.depth;
    let k1 = min(dims.k1, k0 + dims.depth);
    let a_at = dims.a_at + product * dims.a_step + row * dims.a_row;
    let b_at = dims.b_at + product * dims.b_step + col * dims.b_col;
    var sum = 0.0;
    for (var k = k0; k < k1; k++) {
        sum += a[a_at + k * dims.a_col] * b[b_at + k * dims.b_row];
    }
    let at = dims.c_at + id.z * dims.c_step + row * dims.c_row + col;
    if (dims.accumulate == 1u) {
        sum += c[at];
    }
    c[at] = sum;
}
