// dequantize: out[r, 32 * b + i] = scale * q(i) of block b of row r, 32 integers with an f16 scale, as ggml packs them.
//
// Layout: x is (rows, words), row-major, from x_at on; a row is packed blocks of BLOCK_BYTES bytes, the scale first,
//   whose last word may be padded. So blocks begin at even bytes: at a word or in the middle of one. out is contiguous.
// Dispatch: (x, y, 1) with x * y >= ceil(rows * blocks * 8 / 256); a thread computes four neighbouring elements, eight
//   threads a block.
// Workgroup: 256 threads; no workgroup memory.
// Appended: elem, the element type of out; BLOCK_BYTES: u32; integers_at(part: u32) -> u32, the byte of a block, after
//   its scale, at which the word for its elements 4 * part to 4 * part + 3 begins; and integers(word, part) ->
//   vec4<i32>, these elements.

struct Uniforms {
    count: u32,
    blocks: u32,
    words: u32,
    x_at: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<elem>>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

// The four bytes from an even byte on of the row that begins at a word.
fn word_at(row: u32, byte: u32) -> u32 {
    let at = row + byte / 4u;
    if (byte % 4u == 0u) {
        return x[at];
    }
    return (x[at] >> 16u) | (x[at + 1u] << 16u);
}

fn scale_at(row: u32, byte: u32) -> f32 {
    return unpack2x16float(x[row + byte / 4u] >> (8u * (byte % 4u))).x;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.count) {
        let part = i % 8u;
        let block = i / 8u;
        let row = uniforms.x_at + (block / uniforms.blocks) * uniforms.words;
        let byte = (block % uniforms.blocks) * BLOCK_BYTES;
        let word = word_at(row, byte + 2u + integers_at(part));
        out[i] = vec4<elem>(scale_at(row, byte) * vec4<f32>(integers(word, part)));
    }
}
