// sum: out[o, j, q] = sum of x[o, i, q] over the i < n with i mod width = j; (outer, n, inner), row-major.
// Dispatch (min(ceil(outer * width * inner / 256), most groups), 1, 1): one thread per element of out, which
// goes on by as many elements as there are threads. Workgroup memory: none.
// Neighbours read neighbours: along j where inner is 1, along q where it is large.
// Appended: the types elem, total and result; a sum of elem in total is stored as result.

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
        var sum = total(0);
        for (var i = j; i < uniforms.n; i += uniforms.width) {
            sum += total(values[first + i * uniforms.inner]);
        }
        out[at] = result(sum);
    }
}
