// pack: c[p, k, m] = a[p, m, k], the k-major copy that the blocked kernels read fastest. Bound by memory.
//
// Layout: Packed is the element type of c: that of a, or, for packed f16, a half2 of the steps 2k and 2k + 1, with zero
//   beyond the end. k counts the rows of c, and k1 the elements of a along k. c_row_stride is a multiple of 4; of the
//   padding of a row, only what the last vec4 covers is written.
// Dispatch: (ceil(k / 32), ceil(m / 32), products); a workgroup copies 32 rows by 32 columns of c.
// Workgroup: 256 threads, a vec4 of c each.
// Workgroup memory: 1024 elements: 4 KiB, for f16 2 KiB.
// Appended: A_ALONG_K (a is contiguous along k); Packed, and load_packed, which reads one; Uniforms; and the functions of
//   access.py.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

var<workgroup> tile: array<vec4<Packed>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let a_start = uniforms.a_offset + group.z * uniforms.a_batch_stride;
    let c_start = uniforms.c_offset + group.z * uniforms.c_batch_stride;
    let c_k = group.x * 32u + t / 8u;
    let c_m = group.y * 32u + t % 8u * 4u;
    var v = vec4<Packed>();
    if (A_ALONG_K) {
        // Neighbouring threads read neighbours along k, each in four rows, and transpose through workgroup memory.
        let k = min(group.x * 32u + t % 32u, uniforms.k - 1u);
        for (var i = 0u; i < 4u; i++) { // unroll
            let m = min(group.y * 32u + t / 32u * 4u + i, uniforms.m - 1u);
            v[i] = load_packed(a_start + m * uniforms.a_row_stride, k);
        }
        // Swizzle: vector j of row k is stored at j ^ (k % 8), so neither stores nor loads have bank conflicts.
        tile[t % 32u * 8u + ((t / 32u) ^ (t % 8u))] = v;
        workgroupBarrier();
        v = tile[t / 8u * 8u + ((t % 8u) ^ (t / 8u % 8u))];
    } else {
        let k = min(c_k, uniforms.k - 1u);
        for (var i = 0u; i < 4u; i++) { // unroll
            v[i] = load_packed(a_start + min(c_m + i, uniforms.m - 1u) * uniforms.a_row_stride, k);
        }
    }
    if (c_k < uniforms.k && c_m < uniforms.m) {
        c[(c_start + c_k * uniforms.c_row_stride + c_m) / 4u] = v;
    }
}
