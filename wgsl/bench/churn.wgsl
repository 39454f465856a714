// churn: `steps` steps of the generator s -> 1664525 s + 1013904223 (mod 2^32) from each seed (Numerical Recipes,
// ranqd1). Long, alone in its few threads, and exact: what may run side by side shows in the time of several.
// Dispatch (ceil(count / 256), 1, 1). Workgroup memory: none. Bindings: seeds, states, dims.

struct Dims {
    steps: u32,
}

@group(0) @binding(0) var<storage, read> seeds: array<u32>;
@group(0) @binding(1) var<storage, read_write> states: array<u32>;
@group(0) @binding(2) var<uniform> dims: Dims;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&states)) {
        var state = seeds[id.x];
        for (var i = 0u; i < dims.steps; i++) {
            state = 1664525u * state + 1013904223u;
        }
        states[id.x] = state;
    }
}
