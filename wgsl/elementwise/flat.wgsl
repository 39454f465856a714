// flat: out[i] = f(x[i], y[i], ...) along one axis.
//
// Layout: operands with any stride; a stride of 0 broadcasts one element. Strides and starts are modulo 2^32, so
//   strides may be negative. An item is one element, four neighbours, or two such fours. uniforms.sizes.x counts items, sizes.y
//   is the last element, and sizes.z counts fours.
// Dispatch: (min(ceil(items / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.
// Appended: Uniforms; the bindings; run(i), which loads, computes and stores item i.

// The index of element i of an operand. Where an item of four extends beyond the last element, that of the last one.
fn position(start: u32, stride: u32, i: u32) -> u32 {
    return start + min(i, uniforms.sizes.y) * stride;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.sizes.x; i += groups.x * 256u) {
        run(i);
    }
}
