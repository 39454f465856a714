// winograd_output: out = activation(A^T m A + bias) for the products m of some tiles and each output channel.
//
// The tiles are those of winograd_input.wgsl. Pixels beyond the last row or column are not written. out has any
// strides. An infinity or a NaN in the input of a tile makes all of its outputs NaN.
// Layout: element (number, tile, channel) of m is at number * m_number + (tile - first) * m_tile + channel * m_channel.
// Dispatch: (ceil(tiles / 32), ceil(channels / 4)), or channels first if ALONG_TILES is false; each at most the limit;
//   grid-stride loops. A thread per tile and channel, neighbouring threads along the first of the two.
// Workgroup: 32 x 4 threads; no workgroup memory.
// Appended: elem; OUTPUTS, SIZE, ALONG_TILES; the binding of the bias, if any, and of out; load_bias(channel) -> f32;
//   activation(x) -> f32; store_row(destination, i, values); transform(source, destination), which calls load and store_row
//   (winograd/forms.py).

struct Uniforms {
    first: u32,
    tiles: u32,
    tiles_y: u32,
    tiles_x: u32,
    channels: u32,
    height: u32,
    width: u32,
    out_offset: u32,
    out_batch: u32,
    out_channel: u32,
    out_row: u32,
    out_column: u32,
    m_number: u32,
    m_tile: u32,
    m_channel: u32,
}

@group(0) @binding(0) var<storage, read> m: array<f32>;

alias Source = u32;

// A plane of out, and the row and column of the tile's first pixel.
struct Destination {
    plane: u32,
    row: u32,
    column: u32,
    bias: f32,
}

@compute @workgroup_size(32, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = select(
        vec2<u32>(uniforms.channels, uniforms.tiles), vec2<u32>(uniforms.tiles, uniforms.channels), ALONG_TILES);
    for (var i = id.x; i < count.x; i += groups.x * 32u) {
        for (var j = id.y; j < count.y; j += groups.y * 4u) {
            let tile = select(j, i, ALONG_TILES);
            let channel = select(i, j, ALONG_TILES);
            transform(tile * uniforms.m_tile + channel * uniforms.m_channel, destination_of(tile, channel));
        }
    }
}

fn destination_of(tile: u32, channel: u32) -> Destination {
    let row = (uniforms.first + tile) / uniforms.tiles_x;
    let column = (uniforms.first + tile) % uniforms.tiles_x;
    let plane = uniforms.out_offset + row / uniforms.tiles_y * uniforms.out_batch + channel * uniforms.out_channel;
    return Destination(plane, row % uniforms.tiles_y * OUTPUTS, column * OUTPUTS, load_bias(channel));
}

fn load(source: Source, i: u32, j: u32) -> f32 {
    return m[source + (i * SIZE + j) * uniforms.m_number];
}
