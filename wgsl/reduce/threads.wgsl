// threads: out[o, j, q] = reduction of x[o, i, q] over i < n with i mod width = j, by one thread per element of out.
//
// Layout: x is (outer, n, inner), row-major, from x_at on. Loads are coalesced along j where inner is 1, along q where
//   inner is large.
// Dispatch: (min(ceil(outer * width * inner / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.
// Appended: elem, total and result, the types of x, of the accumulator and of out; identity() -> total;
//   combine(a: total, b: total) -> total, associative and commutative but for rounding.

struct Uniforms {
    count: u32,
    n: u32,
    width: u32,
    inner: u32,
    x_at: u32,
}

@group(0) @binding(0) var<storage, read> values: array<elem>;
@group(0) @binding(1) var<storage, read_write> out: array<result>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = id.x; at < uniforms.count; at += groups.x * 256u) {
        let q = at % uniforms.inner;
        let row = at / uniforms.inner;
        let j = row % uniforms.width;
        let first = uniforms.x_at + (row / uniforms.width) * uniforms.n * uniforms.inner + q;
        var reduced = identity();
        for (var i = j; i < uniforms.n; i += uniforms.width) {
            reduced = combine(reduced, total(values[first + i * uniforms.inner]));
        }
        out[at] = result(reduced);
    }
}
