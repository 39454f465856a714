// flat: out[i] = apply(x[i], y[i], ...) along one axis; a stride of 0 repeats one element.
// Dispatch (min(ceil(items / 256), most groups), 1, 1): an item is one element, or four neighbours. A thread
// goes on by as many items as there are threads. Workgroup memory: none.
// dims.sizes.x is the items, sizes.y the last element. Strides and starts are
// modulo 2^32, so that negative ones work.
// Appended: the struct of dims, the bindings, and fn run(i: u32), which reads, computes and writes item i.

// Element i of an operand; beyond the last, where an item of four ends behind it, the last again.
fn position(start: u32, stride: u32, i: u32) -> u32 {
    return start + min(i, dims.sizes.y) * stride;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < dims.sizes.x; i += groups.x * 256u) {
        run(i);
    }
}
