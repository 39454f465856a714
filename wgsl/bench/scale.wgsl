// scale: scaled[i] = FACTOR * x[i]. What the rows of `rusty-bench overhead` launch: next to no work, the result
// exact for a FACTOR that is a power of 2, and no parameters, so that every way of launching can run this text.
// Dispatch (ceil(count / 256), 1, 1). Workgroup memory: none. Bindings: x, scaled.

override FACTOR: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> scaled: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&scaled)) {
        scaled[id.x] = f32(FACTOR) * x[id.x];
    }
}
