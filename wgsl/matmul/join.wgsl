// join: c[m, n] = the sum of the parts that a split sum left, and what dims.wgsl says is done with it.
// Part s of the product p is the matrix p * splits + s of a, without gaps; k counts no more here.
// Dispatch (ceil(n / 256), m, products). One thread four columns of c. Workgroup memory: none.
// Appended: the types Stored and Loaded, both f32; dims.wgsl; and the functions that read and write the buffers.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = dims.row0 + group.y;
    let col = dims.col0 + (group.x * 64u + t) * 4u;
    if (row >= dims.m || col >= dims.n) {
        return;
    }
    var term = dims.a_at + group.z * dims.splits * dims.a_step + row * dims.a_row + col;
    var sum = vec4<f32>();
    for (var part = 0u; part < dims.splits; part++) {
        sum += a_four(term);
        term += dims.a_step;
    }
    c_four(dims.c_at + group.z * dims.c_step + row * dims.c_row + col, col, sum);
}
