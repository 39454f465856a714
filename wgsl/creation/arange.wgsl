// arange: out[i] = start + i * step; f16 computes in f32, integers modulo 2^32.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. start and step come as bits.
// Appended: the type elem, and fn at(i: u32, start: u32, step: u32) -> elem.

struct Dims {
    count: u32,
    start: u32,
    step: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<elem>;
@group(0) @binding(1) var<uniform> dims: Dims;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < dims.count; i += groups.x * 256u) {
        out[i] = at(i, dims.start, dims.step);
    }
}
