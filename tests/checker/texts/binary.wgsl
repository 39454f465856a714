// binary: out[i] = apply(a[i], b[i]), operands along one axis each; a step of 0 repeats one element.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. Steps and starts are modulo 2^32, so that negative ones work.
// Appended: the types elem and result, and fn apply(x: elem, y: elem) -> result.

struct Uniforms {
    count: u32,
    a_at: u32,
    a_step: u32,
    b_at: u32,
    b_step: u32,
}

@group(0) @binding(0) var<storage, read> a: array<elem>;
@group(0) @binding(1) var<storage, read> b: array<elem>;
@group(0) @binding(2) var<storage, read_write> out: array<result>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        out[i] = apply(a[uniforms.a_at + i * uniforms.a_step], b[uniforms.b_at + i * uniforms.b_step]);
    }
}
