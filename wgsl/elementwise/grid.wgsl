// grid: out[z, y, x] = f(x[z, y, x], ...) over two or three axes, one per axis of the dispatch: no integer division.
//
// Layout: any strides; a stride of 0 broadcasts along an axis. An item is one element, or four neighbours along x.
//   uniforms.sizes.xyz counts items along each axis.
// Dispatch: (ceil(items along x / 256), y, z), each at most max groups; grid-stride loops.
// Workgroup: 256 threads along x; no workgroup memory.
// Appended: Uniforms; the bindings; run(at), which loads, computes and stores the item at (x, y, z).

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var z = id.z; z < uniforms.sizes.z; z += groups.z) {
        for (var y = id.y; y < uniforms.sizes.y; y += groups.y) {
            for (var x = id.x; x < uniforms.sizes.x; x += groups.x * 256u) {
                run(vec3<u32>(x, y, z));
            }
        }
    }
}
