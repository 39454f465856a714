// arange: out[i] = start + i * step. f16 is computed in f32, integers modulo 2^32.
//
// Layout: contiguous; start and step are passed as the bits of f32 or a 32-bit integer.
// Dispatch: (x, y, 1) with x * y >= ceil(count / 256); a thread computes one element.
// Workgroup: 256 threads; no workgroup memory.
// Appended: elem, the element type; at(i, start, step) -> elem, element i.

struct Uniforms {
    count: u32,
    start: u32,
    step: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<elem>;
@group(0) @binding(1) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.count) {
        out[i] = at(i, uniforms.start, uniforms.step);
    }
}
