@group(0) @binding(0) var<storage, read_write> x: array<f32>;
var<workgroup> tile: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    tile[i] = x[id.x];
    x[id.x] = tile[63u - i];
}
