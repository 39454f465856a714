// churn: states[i] = `steps` steps of s -> 1664525 s + 1013904223 (mod 2^32) from seeds[i]. An exact, long-running
// kernel with few threads, to measure how dispatches overlap. The generator is ranqd1 (Numerical Recipes).
//
// Dispatch: (ceil(count / 256), 1, 1); one thread per element.
// Workgroup: 256 threads; no workgroup memory.

struct Uniforms {
    steps: u32,
}

@group(0) @binding(0) var<storage, read> seeds: array<u32>;
@group(0) @binding(1) var<storage, read_write> states: array<u32>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&states)) {
        var state = seeds[id.x];
        for (var i = 0u; i < uniforms.steps; i++) {
            state = 1664525u * state + 1013904223u;
        }
        states[id.x] = state;
    }
}
