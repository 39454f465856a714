// threads: out[o, i, q] = combination of x[o, 0, q] to x[o, i, q]; with REVERSE, of x[o, i, q] to x[o, n - 1, q]. A thread
//   scans a chunk along i, from the combination of the chunks before it.
//
// Layout: x is (outer, n, inner), row-major, from x_at on; sums is (outer, width, inner), the scan over the chunks'
//   combinations, not read where width is 1; out is (outer, out_n, inner). With shift = 1, out_n is n + 1, and out begins
//   with the identity. inner counts units, of UNIT elements each.
// Dispatch: (min(ceil(outer * width * inner / 256), max groups), 1, 1); grid-stride loop. Accesses are coalesced along q.
// Workgroup: 256 threads; no workgroup memory. A thread loads four units before it combines them.
// Appended: elem, total and result, the types of x, of the accumulator and of out; loaded, unit and stored, those of
//   a unit, of UNIT (1 or 4) elements; identity() -> unit; combine(a: unit, b: unit) -> unit; REVERSE.

struct Uniforms {
    tasks: u32,
    n: u32,
    width: u32,
    chunk: u32,
    inner: u32,
    x_at: u32,
    out_n: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> values: array<loaded>;
@group(0) @binding(1) var<storage, read> sums: array<unit>;
@group(0) @binding(2) var<storage, read_write> out: array<stored>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let inner = uniforms.inner;
    for (var task = id.x; task < uniforms.tasks; task += groups.x * 256u) {
        let q = task % inner;
        let j = task / inner % uniforms.width;
        let o = task / inner / uniforms.width;
        let start = j * uniforms.chunk;
        let length = min(uniforms.n - start, uniforms.chunk);
        let x_at = uniforms.x_at / UNIT + o * uniforms.n * inner + q;
        let out_at = (o * uniforms.out_n + uniforms.shift) * inner + q;
        if (uniforms.shift == 1u && j == 0u) {
            out[out_at - inner] = stored(identity());
        }
        var carry = identity();
        if (REVERSE && j + 1u < uniforms.width) {
            carry = sums[task + inner];
        }
        if (!REVERSE && j > 0u) {
            carry = sums[task - inner];
        }
        let last = length - 1u;
        for (var i = 0u; i < length; i += 4u) {
            let a_at = start + select(i, last - i, REVERSE);
            let b_at = start + select(min(i + 1u, last), last - min(i + 1u, last), REVERSE);
            let c_at = start + select(min(i + 2u, last), last - min(i + 2u, last), REVERSE);
            let d_at = start + select(min(i + 3u, last), last - min(i + 3u, last), REVERSE);
            let a = unit(values[x_at + a_at * inner]);
            let b = unit(values[x_at + b_at * inner]);
            let c = unit(values[x_at + c_at * inner]);
            let d = unit(values[x_at + d_at * inner]);
            carry = combine(carry, a);
            out[out_at + a_at * inner] = stored(carry);
            if (i + 1u < length) {
                carry = combine(carry, b);
                out[out_at + b_at * inner] = stored(carry);
            }
            if (i + 2u < length) {
                carry = combine(carry, c);
                out[out_at + c_at * inner] = stored(carry);
            }
            if (i + 3u < length) {
                carry = combine(carry, d);
                out[out_at + d_at * inner] = stored(carry);
            }
        }
    }
}
