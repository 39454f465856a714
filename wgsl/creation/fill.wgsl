// fill: out[i] = word; words of 32 bits, so two equal numbers of 16.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many words as there are
// threads. Workgroup memory: none.

struct Dims {
    count: u32,
    word: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<uniform> dims: Dims;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < dims.count; i += groups.x * 256u) {
        out[i] = dims.word;
    }
}
