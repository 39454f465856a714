// sums: sums[r, j] = combination of x[r, i] over the chunk j * chunk <= i < min(n, (j + 1) * chunk), by one workgroup each.
//
// Layout: x is (rows, n), row-major, from x_at on; sums is (rows, width).
// Dispatch: (min(rows * width, max groups), 1, 1); each workgroup strides over the chunks.
// Workgroup: THREADS threads. Each combines vec4s, THREADS apart, in VECS independent chains; a tree combines the threads.
// Workgroup memory: THREADS totals.
// Appended: as for rows.wgsl; of its functions identity, combine, combine4 and load.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

struct Uniforms {
    tasks: u32,
    n: u32,
    width: u32,
    chunk: u32,
    x_at: u32,
}

@group(0) @binding(0) var<storage, read> values: array<loaded>;
@group(0) @binding(1) var<storage, read_write> sums: array<total>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

var<workgroup> parts: array<total, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let j = task % uniforms.width;
        let end = min(uniforms.n, (j + 1u) * uniforms.chunk);
        let x_row = uniforms.x_at + task / uniforms.width * uniforms.n;
        var chains = array<vec4<total>, VECS>();
        for (var v = 0u; v < VECS; v++) { // unroll
            chains[v] = vec4(identity());
        }
        for (var i = j * uniforms.chunk + 4u * t; i < end; i += 4u * THREADS * VECS) {
            for (var v = 0u; v < VECS; v++) { // unroll
                let at = i + 4u * THREADS * v;
                chains[v] = combine4(chains[v], load(x_row + at, end - min(at, end)));
            }
        }
        var all = vec4(identity());
        for (var v = 0u; v < VECS; v++) { // unroll
            all = combine4(all, chains[v]);
        }
        parts[t] = combine(combine(all.x, all.y), combine(all.z, all.w));
        workgroupBarrier();
        for (var stride = THREADS / 2u; stride > 0u; stride >>= 1u) {
            if (t < stride) {
                parts[t] = combine(parts[t], parts[t + stride]);
            }
            workgroupBarrier();
        }
        if (t == 0u) {
            sums[task] = parts[0];
        }
        workgroupBarrier();  // `parts` is reused for the next chunk.
    }
}
