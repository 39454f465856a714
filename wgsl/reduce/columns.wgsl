// columns: out[o, j, q] = reduction of x[o, i, q] over the chunk j * chunk <= i < min(n, (j + 1) * chunk), by one workgroup
//   per 32 neighbouring elements q of out.
//
// Layout: x is (outer, n, inner), row-major, from x_at on; out is (outer, width, inner).
// Dispatch: (min(outer * width * ceil(inner / 32), max groups), 1, 1); each workgroup strides over these blocks.
// Workgroup: 256 threads, 32 columns by 8 rows. A thread reduces every 8th element of its column, in four independent
//   chains; a tree combines the rows:
//
//     q     q + 1   ...  q + 31
//     t0    t1           t31      i = start, start + 8, ...
//     t32   t33          t63      i = start + 1, ...
//     ...
//     t224  t225         t255     i = start + 7, ...
//
// Workgroup memory: 1 KiB, a total per thread.
// Appended: elem, total and result, the types of x, of the accumulator and of out; identity() -> total;
//   combine(a: total, b: total) -> total, associative and commutative but for rounding.

struct Uniforms {
    blocks: u32,
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

// Element i of the column that starts at `first`, or the identity beyond the end of its chunk.
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
    let across = (uniforms.inner + 31u) / 32u;
    for (var block = group.x; block < uniforms.blocks; block += groups.x) {
        let q = (block % across) * 32u + local_index % 32u;
        let row = block / across;
        let start = (row % uniforms.width) * uniforms.chunk;
        var end = min(uniforms.n, start + uniforms.chunk);
        if (q >= uniforms.inner) {
            end = 0u;  // Beyond the last column there is nothing to reduce.
        }
        let first = uniforms.x_at + (row / uniforms.width) * uniforms.n * uniforms.inner + q;
        var a = identity();
        var b = identity();
        var c = identity();
        var d = identity();
        for (var i = start + local_index / 32u; i < end; i += 32u) {
            a = combine(a, element(first, i, end));
            b = combine(b, element(first, i + 8u, end));
            c = combine(c, element(first, i + 16u, end));
            d = combine(d, element(first, i + 24u, end));
        }
        parts[local_index] = combine(combine(a, b), combine(c, d));
        workgroupBarrier();
        for (var stride = 128u; stride >= 32u; stride >>= 1u) {
            if (local_index < stride) {
                parts[local_index] = combine(parts[local_index], parts[local_index + stride]);
            }
            workgroupBarrier();
        }
        if (local_index < 32u && q < uniforms.inner) {
            out[row * uniforms.inner + q] = result(parts[local_index]);
        }
        workgroupBarrier();  // `parts` is reused for the next block.
    }
}
