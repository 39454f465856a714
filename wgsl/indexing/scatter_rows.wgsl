// scatter_rows: out[o, r, q] = sum of x[o, j, q] over all j with index[j] = r, by one workgroup per row and 1,024 columns.
//
// Each sum is added up in the order of j: equal operands give equal bits.
//
// Layout: x is (outer, n, inner), row-major from x_at on; out is (outer, rows, inner). The index has n elements at any stride.
//   Negative indices count from the end; one that is out of bounds adds nothing.
// Dispatch: (min(blocks, max groups), 1, 1) for outer * rows * ceil(inner / 1,024) blocks; each workgroup strides over them.
// Workgroup: 256 threads. They look at 1,024 indices at a time, and note in a bit each which are of the row; then each
//   thread adds these elements of up to four columns, q, q + 256, q + 512 and q + 768.
// Workgroup memory: 128 bytes, a bit for each of 1,024 indices.
// Appended: elem, the type of x; number, that of an index; row_of(i: number) -> u32, the row, `rows` or more for none.

const TILE: u32 = 1024u;

struct Uniforms {
    blocks: u32,
    inner: u32,
    n: u32,
    rows: u32,
    x_at: u32,
    index_at: u32,
    index_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<elem>;
@group(0) @binding(1) var<storage, read> index: array<number>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

var<workgroup> found: array<atomic<u32>, 32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let across = (uniforms.inner + TILE - 1u) / TILE;
    for (var block = group.x; block < uniforms.blocks; block += groups.x) {
        let first = (block % across) * TILE + local_index;
        let o_row = block / across;
        let row = o_row % uniforms.rows;
        let x_at = uniforms.x_at + (o_row / uniforms.rows) * uniforms.n * uniforms.inner;
        var sums = vec4<f32>();
        for (var tile = 0u; tile < uniforms.n; tile += TILE) {
            if (local_index < 32u) {
                atomicStore(&found[local_index], 0u);
            }
            workgroupBarrier();
            for (var at = local_index; at < TILE; at += 256u) {
                let j = tile + at;
                if (j < uniforms.n && row_of(index[uniforms.index_at + j * uniforms.index_stride]) == row) {
                    atomicOr(&found[at / 32u], 1u << (at % 32u));
                }
            }
            workgroupBarrier();
            for (var word = 0u; word < 32u; word++) {
                for (var bits = atomicLoad(&found[word]); bits != 0u; bits &= bits - 1u) {
                    let from_row = x_at + (tile + word * 32u + firstTrailingBit(bits)) * uniforms.inner;
                    for (var part = 0u; part < 4u; part++) {
                        let q = first + part * 256u;
                        if (q < uniforms.inner) {
                            sums[part] += f32(x[from_row + q]);
                        }
                    }
                }
            }
            workgroupBarrier();  // `found` is reused for the next indices.
        }
        for (var part = 0u; part < 4u; part++) {
            let q = first + part * 256u;
            if (q < uniforms.inner) {
                out[o_row * uniforms.inner + q] = sums[part];
            }
        }
    }
}
