// flat: out[i] = f(x[i], y[i], ...) along one axis.
//
// Layout: operands with any stride; a stride of 0 broadcasts one element. Strides and starts are modulo 2^32, so
//   strides may be negative. An item is one element, four neighbours, or eight of f16. uniforms.sizes.x counts items, sizes.y
//   is the last element.
// Dispatch: (x, y, 1) with x * y >= ceil(items / 256); a thread computes one item.
// Workgroup: 256 threads; no workgroup memory.
// Appended: Uniforms; the bindings; run(i), which loads, computes and stores item i.

// The index of element i of an operand. Where an item of four extends beyond the last element, that of the last one.
fn position(start: u32, stride: u32, i: u32) -> u32 {
    return start + min(i, uniforms.sizes.y) * stride;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.sizes.x) {
        run(i);
    }
}
