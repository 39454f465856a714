// naive: c[m, n] = sum_k a[m, k] * b[k, n]; row-major. One thread per element of c, no sharing.
// Dispatch (ceil(cols / 16), ceil(rows / 16), products) over the block of c that starts at (row0, col0).
// The product z has its matrices at a_at + z * a_step and so on, modulo 2^32. Workgroup memory: none.
// The sum runs over [k0, k1); `accumulate` adds it to what c already holds.

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
    let a_at = dims.a_at + id.z * dims.a_step + row * dims.k;
    let b_at = dims.b_at + id.z * dims.b_step + col;
    var sum = 0.0;
    for (var i = dims.k0; i < dims.k1; i++) {
        sum += a[a_at + i] * b[b_at + i * dims.n];
    }
    let at = dims.c_at + id.z * dims.c_step + row * dims.n + col;
    if (dims.accumulate == 1u) {
        sum += c[at];
    }
    c[at] = sum;
}
