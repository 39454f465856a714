// fill: words[i] = value. Poisons an output before a run with a bit pattern that no kernel writes by accident.
//
// Dispatch: any (x, 1, 1); grid-stride loop, uniforms.stride is the number of threads.
// Workgroup: 256 threads; no workgroup memory.

struct Uniforms {
    count: u32,
    value: u32,
    stride: u32,
}

@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += uniforms.stride) {
        words[i] = uniforms.value;
    }
}
