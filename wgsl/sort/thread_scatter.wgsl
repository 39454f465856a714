// thread_scatter: one pass of a radix sort, as scatter.wgsl, by one thread per block, for CPU drivers, on which barriers are slow.
//
// Layout: x is (rows, n), row-major, from x_at on; counts is (rows, 256, blocks), by thread_histogram.wgsl, and ends the
//   inclusive scan along its rows; the result is (rows, n). A thread turns its counts into the places of the next keys.
// Dispatch: (min(ceil(rows * blocks / 16), max groups), 1, 1); grid-stride loop, block + 256 steps a block.
// Workgroup: 16 threads; no workgroup memory.
// Appended: the bindings; key_at(i) -> u32, the key of an element of x; index_at(i, place) -> u32, its index, by default its
//   place in the row; put(at, key, index), which writes an element of the result.

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
            let at = own + digit * uniforms.blocks;
            counts[at] = ends[at] - counts[at];
        }
        let end = min(uniforms.n, (block + 1u) * uniforms.block);
        for (var i = block * uniforms.block; i < end; i++) {
            let at = uniforms.x_at + row * uniforms.n + i;
            let key = key_at(at);
            let next = own + ((key >> uniforms.shift) & 255u) * uniforms.blocks;
            let place = counts[next];
            counts[next] = place + 1u;
            put(row * uniforms.n + place, key, index_at(at, i));
        }
    }
}
