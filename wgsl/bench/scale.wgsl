// scale: scaled[i] = FACTOR * x[i]. The kernel of `rusty-bench overhead`: almost no work, exact for a FACTOR that is a
// power of 2, and no uniforms, so that every dispatch path can run it.
//
// Dispatch: (ceil(count / 256), 1, 1); one thread per element.
// Workgroup: 256 threads; no workgroup memory.
// Overrides: FACTOR.

override FACTOR: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> scaled: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&scaled)) {
        scaled[id.x] = f32(FACTOR) * x[id.x];
    }
}
