// grid: out[z, y, x] = apply(...) in a box of two or three axes, one for each axis of the dispatch: no
// division. An operand repeats along an axis by a stride of 0.
// Dispatch (ceil(items along x / 256), y, z), each at most the most groups: a thread goes on where the grid is
// smaller. An item is one element, or four neighbours along x. Workgroup memory: none.
// dims.sizes.xyz are the items along each axis.
// Appended: the struct of dims, the bindings, and fn run(at: vec3<u32>), which reads, computes and writes one item.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var z = id.z; z < dims.sizes.z; z += groups.z) {
        for (var y = id.y; y < dims.sizes.y; y += groups.y) {
            for (var x = id.x; x < dims.sizes.x; x += groups.x * 256u) {
                run(vec3<u32>(x, y, z));
            }
        }
    }
}
