// transpose_blocks: out[b, i, j] = f(x[b, i, j]), where x is contiguous along i and out along j, and both are accessed as vec4.
//
// Layout: x and out have any strides that are multiples of 4 along the other of i and j, and along two batch axes; m and n are
//   multiples of 4.
// Dispatch: (ceil(n / 64), ceil(m / 64), batches), each at most max groups; each workgroup strides over tiles.
// Workgroup: 256 threads per tile of 64 by 64, a block of 4 by 4 each. A thread loads a block by four vec4s along i, computes
//   and transposes it in registers, and puts it into the tile as four vec4s along j. It takes four others out, and stores them.
//
//     x       j >                       tile    j >                          out     j >
//     i  | t0  t0  t0  t0  t16 ...      i  | t0 t16 t32 ... t240             i  | t0  t1  ... t15
//     v  | :   :   :   :                v  | t0                              v  | t16
//        | t1  t1  t1  t1                  | t0                                 | ...
//
// Workgroup memory: 64 rows of 16 vec4s of results. The place of a vec4 in its row is exchanged by the number of its block, so
//   that eight threads that access vec4s at once use different banks, in both directions.
// Appended: source and result, the types of x and out; the bindings; apply(x: source) -> result.

const TILE: u32 = 64u;
const BLOCKS: u32 = 16u;  // Of a tile, in each direction.

struct Uniforms {
    m: u32,
    n: u32,
    batches: u32,
    inner_batches: u32,
    x_at: u32,
    out_at: u32,
    x_step: u32,  // Along j.
    out_step: u32,  // Along i.
    x_batch: vec2<u32>,
    out_batch: vec2<u32>,
}

var<workgroup> tile: array<vec4<result>, 1024>;

// Where the tile has the four results of row i from column 4 * block on.
fn slot(i: u32, block: u32) -> u32 {
    return i * BLOCKS + (block ^ (i / 4u));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let fast = local_index % BLOCKS;
    let slow = local_index / BLOCKS;
    for (var batch = group.z; batch < uniforms.batches; batch += groups.z) {
        let place = vec2<u32>(batch / uniforms.inner_batches, batch % uniforms.inner_batches);
        let x_at = uniforms.x_at + place.x * uniforms.x_batch.x + place.y * uniforms.x_batch.y;
        let out_at = uniforms.out_at + place.x * uniforms.out_batch.x + place.y * uniforms.out_batch.y;
        for (var i0 = group.y * TILE; i0 < uniforms.m; i0 += groups.y * TILE) {
            for (var j0 = group.x * TILE; j0 < uniforms.n; j0 += groups.x * TILE) {
                // A block with its rows along i.
                if (i0 + 4u * fast < uniforms.m && j0 + 4u * slow < uniforms.n) {
                    let first = x_at + (j0 + 4u * slow) * uniforms.x_step + i0 + 4u * fast;
                    let a = x_in[first / 4u];
                    let b = x_in[(first + uniforms.x_step) / 4u];
                    let c = x_in[(first + 2u * uniforms.x_step) / 4u];
                    let d = x_in[(first + 3u * uniforms.x_step) / 4u];
                    tile[slot(4u * fast, slow)] = vec4(apply(a.x), apply(b.x), apply(c.x), apply(d.x));
                    tile[slot(4u * fast + 1u, slow)] = vec4(apply(a.y), apply(b.y), apply(c.y), apply(d.y));
                    tile[slot(4u * fast + 2u, slow)] = vec4(apply(a.z), apply(b.z), apply(c.z), apply(d.z));
                    tile[slot(4u * fast + 3u, slow)] = vec4(apply(a.w), apply(b.w), apply(c.w), apply(d.w));
                }
                workgroupBarrier();
                // Rows of the tile along j: every 16th of the rows of a thread.
                for (var row = 0u; row < 4u; row++) { // unroll
                    let i = slow + BLOCKS * row;
                    if (i0 + i < uniforms.m && j0 + 4u * fast < uniforms.n) {
                        out[(out_at + (i0 + i) * uniforms.out_step + j0 + 4u * fast) / 4u] = tile[slot(i, fast)];
                    }
                }
                workgroupBarrier();  // The tile is reused.
            }
        }
    }
}
