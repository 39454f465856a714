// fill: out[i] = word.
//
// Layout: contiguous words of 32 bits; an element of 16 bits is repeated twice in a word.
// Dispatch: (min(ceil(count / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.

struct Uniforms {
    count: u32,
    word: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        out[i] = uniforms.word;
    }
}
