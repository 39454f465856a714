// general: out[i] = f(x[i], y[i], ...) over up to 8 axes.
//
// Layout: any strides, also of out. An item is one element, or four neighbours along the last axis. uniforms.sizes.x counts
//   items, sizes.y axes.
// Dispatch: (x, y, 1) with x * y >= ceil(items / 256); a thread computes one item.
// Workgroup: 256 threads; no workgroup memory.
// Appended: Uniforms; the bindings; run(i), which divides i into an index per axis, then loads, computes and stores item i.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.sizes.x) {
        run(i);
    }
}
