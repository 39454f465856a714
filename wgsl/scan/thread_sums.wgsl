// thread_sums: sums[o, j, q] = combination of x[o, i, q] over the chunk j * chunk <= i < min(n, (j + 1) * chunk), by one thread
//   per element of sums.
//
// Layout: x is (outer, n, inner), row-major, from x_at on; sums is (outer, width, inner). inner counts units, of UNIT
//   elements each.
// Dispatch: (min(ceil(outer * width * inner / 256), max groups), 1, 1); grid-stride loop. Accesses are coalesced along q.
// Workgroup: 256 threads; no workgroup memory. Four independent chains a thread.
// Appended: as for threads.wgsl.

struct Uniforms {
    tasks: u32,
    n: u32,
    width: u32,
    chunk: u32,
    inner: u32,
    x_at: u32,
}

@group(0) @binding(0) var<storage, read> values: array<loaded>;
@group(0) @binding(1) var<storage, read_write> sums: array<unit>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

// Unit i of the column that starts at `first`, or the identity beyond the end of its chunk.
fn at_or_identity(first: u32, i: u32, end: u32) -> unit {
    if (i >= end) {
        return identity();
    }
    return unit(values[first + i * uniforms.inner]);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let inner = uniforms.inner;
    for (var task = id.x; task < uniforms.tasks; task += groups.x * 256u) {
        let start = task / inner % uniforms.width * uniforms.chunk;
        let end = min(uniforms.n, start + uniforms.chunk);
        let first = uniforms.x_at / UNIT + task / inner / uniforms.width * uniforms.n * inner + task % inner;
        var a = identity();
        var b = identity();
        var c = identity();
        var d = identity();
        for (var i = start; i < end; i += 4u) {
            a = combine(a, at_or_identity(first, i, end));
            b = combine(b, at_or_identity(first, i + 1u, end));
            c = combine(c, at_or_identity(first, i + 2u, end));
            d = combine(d, at_or_identity(first, i + 3u, end));
        }
        sums[task] = combine(combine(a, b), combine(c, d));
    }
}
