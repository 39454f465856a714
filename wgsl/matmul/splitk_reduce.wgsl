// splitk_reduce: c[m, n] = epilogue(sum_s partial[s, m, n]). The second pass of split-K; bound by memory.
//
// Layout: a holds the partial sums in f32. Split s of product p is matrix p * split_k + s, without gaps, columns
//   contiguous. The columns of c are contiguous, or an axis is compound (C_COMPOUND). k is not used.
// Dispatch: (ceil(n / 256), m, products); each thread computes four neighbouring columns of one row.
// Workgroup: 64 threads; no workgroup memory.
// Appended: Uniforms, compound.wgsl, C_COMPOUND, C_M_COMPOUND, C_N_COMPOUND, C_VEC4, BIAS_BY_ROW, and the functions of
//   access.py: load_a_vec4, store_c_vec4 and store_c (with the epilogue), row_bias.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = uniforms.row0 + group.y;
    let col = uniforms.col0 + (group.x * 64u + t) * 4u;
    if (row >= uniforms.m || col >= uniforms.n) {
        return;
    }
    var a_index = uniforms.a_offset + group.z * uniforms.split_k * uniforms.a_batch_stride + row * uniforms.a_row_stride + col;
    var acc = vec4<f32>();
    for (var split = 0u; split < uniforms.split_k; split++) {
        acc += load_a_vec4(a_index);
        a_index += uniforms.a_batch_stride;
    }
    let start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    bias_start = uniforms.bias_offset + group.z * uniforms.bias_batch_stride;
    if (BIAS_BY_ROW) {
        acc += row_bias(row);
    }
    if (!C_COMPOUND) {
        store_c_vec4(start + row * uniforms.c_row_stride + col, col, acc);
    } else if (C_VEC4) {
        store_c_vec4(start + c_distance(row, col), col, acc);
    } else {
        for (var i = 0u; i < min(4u, uniforms.n - col); i++) {
            store_c(start + c_distance(row, col + i), col + i, acc[i]);
        }
    }
}
