// fill: all four words of out[i] = word.
//
// Layout: contiguous words of 32 bits; an element of 16 bits is repeated twice in a word.
// Dispatch: (x, y, 1) with x * y >= ceil(count / 256); a thread fills one vec4.
// Workgroup: 256 threads; no workgroup memory.

struct Uniforms {
    count: u32,
    word: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(1) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.count) {
        out[i] = vec4<u32>(uniforms.word);
    }
}
