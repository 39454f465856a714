// naive: c[m, n] = sum_k a[m, k] * b[k, n]. The textbook kernel, for comparison.
//
// Layout: f32; a and b with any strides, the columns of c contiguous.
// Dispatch: (ceil(cols / 16), ceil(rows / 16), products * split_k); one thread per element of c.
// Workgroup: 16 x 16 threads; no workgroup memory, no data reuse but by the caches.
// Appended: Uniforms (uniforms.wgsl).

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = uniforms.row0 + id.y;
    let col = uniforms.col0 + id.x;
    if (row >= uniforms.m || col >= uniforms.n) {
        return;
    }
    let product = id.z / uniforms.split_k;
    let k0 = uniforms.k0 + id.z % uniforms.split_k * uniforms.k_per_split;
    let k1 = min(uniforms.k1, k0 + uniforms.k_per_split);
    let a_row = uniforms.a_offset + product * uniforms.a_batch_stride + row * uniforms.a_row_stride;
    let b_col = uniforms.b_offset + product * uniforms.b_batch_stride + col * uniforms.b_col_stride;
    var acc = 0.0;
    for (var k = k0; k < k1; k++) {
        acc += a[a_row + k * uniforms.a_col_stride] * b[b_col + k * uniforms.b_row_stride];
    }
    let c_index = uniforms.c_offset + id.z * uniforms.c_batch_stride + row * uniforms.c_row_stride + col;
    if (uniforms.accumulate == 1u) {
        acc += c[c_index];
    }
    c[c_index] = acc;
}
