// general: out[i] = f(x[i], y[i], ...) over up to 8 axes.
//
// Layout: any strides, also of out. An item is one element, or four neighbours along the last axis. uniforms.sizes.x counts
//   items, sizes.y axes.
// Dispatch: (min(ceil(items / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.
// Appended: Uniforms; the bindings; run(i), which divides i into an index per axis, then loads, computes and stores item i.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.sizes.x; i += groups.x * 256u) {
        run(i);
    }
}
