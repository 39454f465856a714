// pack: copies a so that rows of k lie one after the other, as the blocked kernels read them best:
// c[p, k, m] = a[p, m, k], or pairs: those of 2k and 2k + 1, and zero for what is not there. Bound by memory.
// A workgroup copies 32 rows by 32 columns of c; along k neighbouring threads read neighbours, each in four rows,
// and what they have read they exchange, to write vectors across k next to each other.
// Dispatch (ceil(k / 32), ceil(m / 32), products); k counts rows of c. c_row, the distance of its rows, is a multiple
// of 4, and what is left of a row beyond m is not written but for the last vector. k1 is what there is of a along k.
// Workgroup memory 4 KiB, of f16 2. Appended: A_ALONG_K; the type Number, what c has, and number, which reads one;
// dims.wgsl; the functions that read and write.

var<workgroup> tile: array<vec4<Number>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let a_at = dims.a_at + group.z * dims.a_step;
    let c_at = dims.c_at + group.z * dims.c_step;
    let to_k = group.x * 32u + t / 8u;
    let to_m = group.y * 32u + t % 8u * 4u;
    var four = vec4<Number>();
    if (A_ALONG_K) {
        let k = min(group.x * 32u + t % 32u, dims.k - 1u);
        for (var i = 0u; i < 4u; i++) { // unroll
            let m = min(group.y * 32u + t / 32u * 4u + i, dims.m - 1u);
            four[i] = number(a_at + m * dims.a_row, k);
        }
        // Vector j of row k lies at j ^ (k % 8): so neither the stores nor the loads of a subgroup share a bank.
        tile[t % 32u * 8u + ((t / 32u) ^ (t % 8u))] = four;
        workgroupBarrier();
        four = tile[t / 8u * 8u + ((t % 8u) ^ (t / 8u % 8u))];
    } else {
        let k = min(to_k, dims.k - 1u);
        for (var i = 0u; i < 4u; i++) { // unroll
            four[i] = number(a_at + min(to_m + i, dims.m - 1u) * dims.a_row, k);
        }
    }
    if (to_k < dims.k && to_m < dims.m) {
        c[(c_at + to_k * dims.c_row + to_m) / 4u] = four;
    }
}
