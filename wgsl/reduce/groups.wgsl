// groups: out[o, j, q] = reduction of x[o, i, q] over the chunk j * chunk <= i < min(n, (j + 1) * chunk), by one workgroup
//   per element of out.
//
// Layout: x is (outer, n, inner), row-major, from x_at on; out is (outer, width, inner).
// Dispatch: (min(outer * width * inner, max groups), 1, 1); each workgroup strides over the elements of out.
// Workgroup: 256 threads. Each reduces every 256th element in four independent chains; a tree combines the threads.
// Workgroup memory: 1 KiB, a total per thread.
// Appended: elem, total and result, the types of x, of the accumulator and of out; identity() -> total;
//   combine(a: total, b: total) -> total, associative and commutative but for rounding.

struct Uniforms {
    count: u32,
    n: u32,
    width: u32,
    chunk: u32,
    inner: u32,
    x_at: u32,
}

@group(0) @binding(0) var<storage, read> values: array<elem>;
@group(0) @binding(1) var<storage, read_write> out: array<result>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

var<workgroup> parts: array<total, 256>;

// Element i of the row that starts at `first`, or the identity beyond the end of its chunk.
fn element(first: u32, i: u32, end: u32) -> total {
    if (i >= end) {
        return identity();
    }
    return total(values[first + i * uniforms.inner]);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    for (var at = group.x; at < uniforms.count; at += groups.x) {
        let row = at / uniforms.inner;
        let first = uniforms.x_at + (row / uniforms.width) * uniforms.n * uniforms.inner + at % uniforms.inner;
        let start = (row % uniforms.width) * uniforms.chunk;
        let end = min(uniforms.n, start + uniforms.chunk);
        var a = identity();
        var b = identity();
        var c = identity();
        var d = identity();
        for (var i = start + local_index; i < end; i += 1024u) {
            a = combine(a, element(first, i, end));
            b = combine(b, element(first, i + 256u, end));
            c = combine(c, element(first, i + 512u, end));
            d = combine(d, element(first, i + 768u, end));
        }
        parts[local_index] = combine(combine(a, b), combine(c, d));
        workgroupBarrier();
        for (var stride = 128u; stride > 0u; stride >>= 1u) {
            if (local_index < stride) {
                parts[local_index] = combine(parts[local_index], parts[local_index + stride]);
            }
            workgroupBarrier();
        }
        if (local_index == 0u) {
            out[at] = result(parts[0]);
        }
        workgroupBarrier();  // `parts` is reused for the next element.
    }
}
