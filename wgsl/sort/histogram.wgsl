// histogram: counts[r, d, b] = how many keys in block b of row r have the digit d, of 8 bits from `shift` on.
//
// Layout: x is (rows, n), row-major, from x_at on; counts is (rows, 256, blocks), so that a scan of its rows gives the place
//   of the first element of each digit and block.
// Dispatch: (min(rows * blocks, max groups), 1, 1); each workgroup strides over the blocks.
// Workgroup: 256 threads, one a digit; BLOCK keys. Workgroup memory: 1 KiB.
// Appended: BLOCK; the bindings; key_at(i) -> u32, the key of an element of x.

struct Uniforms {
    tasks: u32,
    n: u32,
    blocks: u32,
    x_at: u32,
    flip: u32,
    shift: u32,
}

var<workgroup> block_counts: array<atomic<u32>, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let row = task / uniforms.blocks;
        let block = task % uniforms.blocks;
        let end = min(uniforms.n, (block + 1u) * BLOCK);
        atomicStore(&block_counts[t], 0u);
        workgroupBarrier();
        for (var i = block * BLOCK + t; i < end; i += 256u) {
            let key = key_at(uniforms.x_at + row * uniforms.n + i);
            atomicAdd(&block_counts[(key >> uniforms.shift) & 255u], 1u);
        }
        workgroupBarrier();
        counts[(row * 256u + t) * uniforms.blocks + block] = atomicLoad(&block_counts[t]);
        workgroupBarrier();  // `block_counts` is reused for the next block.
    }
}
