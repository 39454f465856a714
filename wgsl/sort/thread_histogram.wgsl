// thread_histogram: counts[r, d, b] as of histogram.wgsl, by one thread per block, for CPU drivers, on which barriers are slow.
//
// Layout: x is (rows, n), row-major, from x_at on; counts is (rows, 256, blocks). Only one thread accesses the counts of
//   a block: in memory, because drivers take minutes to compile arrays of 256 elements in registers.
// Dispatch: (min(ceil(rows * blocks / 16), max groups), 1, 1); grid-stride loop, block + 256 steps a block.
// Workgroup: 16 threads; no workgroup memory.
// Appended: the bindings; key_at(i) -> u32, the key of an element of x.

struct Uniforms {
    tasks: u32,
    n: u32,
    blocks: u32,
    x_at: u32,
    flip: u32,
    shift: u32,
    block: u32,
}

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var task = id.x; task < uniforms.tasks; task += groups.x * 16u) {
        let row = task / uniforms.blocks;
        let block = task % uniforms.blocks;
        let own = row * 256u * uniforms.blocks + block;
        for (var digit = 0u; digit < 256u; digit++) {
            counts[own + digit * uniforms.blocks] = 0u;
        }
        let end = min(uniforms.n, (block + 1u) * uniforms.block);
        for (var i = block * uniforms.block; i < end; i++) {
            let key = key_at(uniforms.x_at + row * uniforms.n + i);
            counts[own + ((key >> uniforms.shift) & 255u) * uniforms.blocks] += 1u;
        }
    }
}
