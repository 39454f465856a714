// unary: out[i] = apply(x[i], word), along one axis on either side; a step of 0 repeats one element.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. Steps and starts are modulo 2^32, so that negative ones work.
// Appended: the types elem and result, and fn apply(x: elem, word: u32) -> result; `word` is the bits of a
// number beside the array, so that another number is no other kernel.

struct Uniforms {
    count: u32,
    x_at: u32,
    x_step: u32,
    out_at: u32,
    out_step: u32,
    word: u32,
}

@group(0) @binding(0) var<storage, read> values: array<elem>;
@group(0) @binding(1) var<storage, read_write> out: array<result>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        out[uniforms.out_at + i * uniforms.out_step] = apply(values[uniforms.x_at + i * uniforms.x_step], uniforms.word);
    }
}
