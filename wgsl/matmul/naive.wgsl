// naive: c[m, n] = sum_k a[m, k] * b[k, n]. The textbook kernel, for comparison.
//
// Layout: f32; a and b with any strides, the columns of c contiguous.
// Dispatch: (ceil(cols / 16), ceil(rows / 16), products * split_k); one thread per element of c.
// Workgroup: 16 x 16 threads; no workgroup memory, no data reuse but by the caches.
// Appended: Dims (dims.wgsl).

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
    let product = id.z / dims.split_k;
    let k0 = dims.k0 + id.z % dims.split_k * dims.k_per_split;
    let k1 = min(dims.k1, k0 + dims.k_per_split);
    let a_row = dims.a_offset + product * dims.a_batch_stride + row * dims.a_row_stride;
    let b_col = dims.b_offset + product * dims.b_batch_stride + col * dims.b_col_stride;
    var acc = 0.0;
    for (var k = k0; k < k1; k++) {
        acc += a[a_row + k * dims.a_col_stride] * b[b_col + k * dims.b_row_stride];
    }
    let c_index = dims.c_offset + id.z * dims.c_batch_stride + row * dims.c_row_stride + col;
    if (dims.accumulate == 1u) {
        acc += c[c_index];
    }
    c[c_index] = acc;
}
