// scatter_lines: out[o, index[o, j, q], q] += x[o, j, q] for j = first, first + 1, ..., one thread for all of an o and q.
//
// No two threads write to one element, and each adds in the order of j: equal operands give equal bits.
//
// Layout: x is (outer, n, inner), row-major from x_at on; out is (outer, rows, inner) and has the sum so far. The index has
//   any strides. Negative indices count from the end; one that is out of bounds adds nothing.
// Dispatch: (min(ceil(outer * inner / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.
// Appended: elem, the type of x; number, that of an index; row_of(i: number) -> u32, the row, `rows` or more for none.

struct Uniforms {
    lines: u32,
    inner: u32,
    n: u32,
    rows: u32,
    first: u32,
    end: u32,
    x_at: u32,
    index_at: u32,
    index_strides: vec4<u32>,  // Of o, j and q.
}

@group(0) @binding(0) var<storage, read> x: array<elem>;
@group(0) @binding(1) var<storage, read> index: array<number>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var line = id.x; line < uniforms.lines; line += groups.x * 256u) {
        let o = line / uniforms.inner;
        let q = line % uniforms.inner;
        let index_at = uniforms.index_at + o * uniforms.index_strides.x + q * uniforms.index_strides.z;
        let x_at = uniforms.x_at + o * uniforms.n * uniforms.inner + q;
        let out_at = o * uniforms.rows * uniforms.inner + q;
        for (var j = uniforms.first; j < uniforms.end; j++) {
            let row = row_of(index[index_at + j * uniforms.index_strides.y]);
            if (row < uniforms.rows) {
                out[out_at + row * uniforms.inner] += f32(x[x_at + j * uniforms.inner]);
            }
        }
    }
}
