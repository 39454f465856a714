// arange: out[i] = start + i * step. f16 is computed in f32, integers modulo 2^32.
//
// Layout: contiguous; start and step are passed as the bits of f32 or a 32-bit integer.
// Dispatch: (min(ceil(count / 256), max groups), 1, 1); grid-stride loop.
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
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        out[i] = at(i, uniforms.start, uniforms.step);
    }
}
