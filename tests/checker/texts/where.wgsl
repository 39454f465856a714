// where: out[i] = condition[i] != 0 ? x[i] : y[i], along one axis each; a step of 0 repeats one element.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. Steps and starts are modulo 2^32, so that negative ones work.
// Appended: the type elem.

struct Uniforms {
    count: u32,
    condition_at: u32,
    condition_step: u32,
    x_at: u32,
    x_step: u32,
    y_at: u32,
    y_step: u32,
}

@group(0) @binding(0) var<storage, read> condition: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<elem>;
@group(0) @binding(2) var<storage, read> y: array<elem>;
@group(0) @binding(3) var<storage, read_write> out: array<elem>;
@group(0) @binding(4) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        if (condition[uniforms.condition_at + i * uniforms.condition_step] != 0u) {
            out[i] = x[uniforms.x_at + i * uniforms.x_step];
        } else {
            out[i] = y[uniforms.y_at + i * uniforms.y_step];
        }
    }
}
