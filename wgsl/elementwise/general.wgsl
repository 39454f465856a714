// general: out[i] = apply(...) for i in a box of up to 8 axes, with any strides, out's too.
// Dispatch (min(ceil(items / 256), most groups), 1, 1): an item is one element, or four neighbours along the
// last axis. A thread goes on by as many items as there are threads. Workgroup memory: none.
// dims.sizes.x is the items, sizes.y the axes.
// Appended: the struct of dims, the bindings, and fn run(i: u32), which divides i into its places along the axes, then
// reads, computes and writes item i.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < dims.sizes.x; i += groups.x * 256u) {
        run(i);
    }
}
