// transpose: out[b, i, j] = f(x[b, i, j]), where x is contiguous along i and out along j, by tiles in workgroup memory.
//
// Layout: x and out have any strides along the other of i and j, and along two batch axes. With IN = 4, elements of x are loaded
//   as vec4, with OUT = 4 they are stored so; else one by one.
// Dispatch: (ceil(n / 64), ceil(m / 64), batches), each at most max groups; each workgroup strides over tiles.
// Workgroup: 256 threads per tile of 64 by 64. Neighbouring threads load neighbours along i, and store neighbours along j:
//
//     x       j >          tile[j][i]         out     j >
//     i  | t0                                 i  | t0 t1 t2 ... t15
//     v  | t1              65 elements        v  | t16 ...
//        | ...             per row of j
//        | t15
//
// Workgroup memory: 64 * 65 elements of x; 65, so that threads that access one column use different banks.
// Appended: source and result, the types of x and out; IN and OUT; the bindings; load(at, slot), which loads IN elements of x
//   from element `at` on into the tile; store(at, slot), which stores OUT elements from every 65th slot.

const TILE: u32 = 64u;
const ROW: u32 = 65u;

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

var<workgroup> tile: array<source, 4160>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    const IN_LANES = TILE / IN;
    const OUT_LANES = TILE / OUT;
    let in_i = local_index % IN_LANES * IN;
    let in_j = local_index / IN_LANES;
    let out_j = local_index % OUT_LANES * OUT;
    let out_i = local_index / OUT_LANES;
    for (var batch = group.z; batch < uniforms.batches; batch += groups.z) {
        let place = vec2<u32>(batch / uniforms.inner_batches, batch % uniforms.inner_batches);
        let x_at = uniforms.x_at + place.x * uniforms.x_batch.x + place.y * uniforms.x_batch.y;
        let out_at = uniforms.out_at + place.x * uniforms.out_batch.x + place.y * uniforms.out_batch.y;
        for (var i0 = group.y * TILE; i0 < uniforms.m; i0 += groups.y * TILE) {
            for (var j0 = group.x * TILE; j0 < uniforms.n; j0 += groups.x * TILE) {
                for (var j = in_j; j < TILE; j += 256u / IN_LANES) {
                    if (i0 + in_i < uniforms.m && j0 + j < uniforms.n) {
                        load(x_at + (j0 + j) * uniforms.x_step + i0 + in_i, j * ROW + in_i);
                    }
                }
                workgroupBarrier();
                for (var i = out_i; i < TILE; i += 256u / OUT_LANES) {
                    if (i0 + i < uniforms.m && j0 + out_j < uniforms.n) {
                        store(out_at + (i0 + i) * uniforms.out_step + j0 + out_j, out_j * ROW + i);
                    }
                }
                workgroupBarrier();  // The tile is reused.
            }
        }
    }
}
