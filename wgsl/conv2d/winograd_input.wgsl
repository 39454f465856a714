// winograd_input: V = B^T d B for the input d of some tiles and each channel.
//
// Tile t of all has the outputs (OUTPUTS * y, OUTPUTS * x) and the next ones of image n, where
// t = (n * tiles_y + y) * tiles_x + x. x is zero outside of the input, and has any strides.
// Layout: element (number, tile, channel) of v is at number * v_number + (tile - first) * v_tile + channel * v_channel.
// Dispatch: (ceil(tiles / 32), ceil(channels / 4)), or channels first if ALONG_TILES is false; each at most the limit;
//   grid-stride loops. A thread per tile and channel, neighbouring threads along the first of the two.
// Workgroup: 32 x 4 threads; no workgroup memory.
// Appended: elem; OUTPUTS, ALONG_TILES; transform(source, destination), which calls load and store (winograd/forms.py).

struct Uniforms {
    first: u32,
    tiles: u32,
    tiles_y: u32,
    tiles_x: u32,
    channels: u32,
    height: u32,
    width: u32,
    start_y: u32,
    start_x: u32,
    x_offset: u32,
    x_batch: u32,
    x_channel: u32,
    x_row: u32,
    x_column: u32,
    v_number: u32,
    v_tile: u32,
    v_channel: u32,
}

@group(0) @binding(0) var<storage, read> x: array<elem>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

// A plane of x, and the row and column where the tile begins: before the first they are large numbers.
struct Source {
    plane: u32,
    row: u32,
    column: u32,
}
alias Destination = u32;

@compute @workgroup_size(32, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = select(
        vec2<u32>(uniforms.channels, uniforms.tiles), vec2<u32>(uniforms.tiles, uniforms.channels), ALONG_TILES);
    for (var i = id.x; i < count.x; i += groups.x * 32u) {
        for (var j = id.y; j < count.y; j += groups.y * 4u) {
            let tile = select(j, i, ALONG_TILES);
            let channel = select(i, j, ALONG_TILES);
            transform(source_of(tile, channel), tile * uniforms.v_tile + channel * uniforms.v_channel);
        }
    }
}

fn source_of(tile: u32, channel: u32) -> Source {
    let row = (uniforms.first + tile) / uniforms.tiles_x;
    let column = (uniforms.first + tile) % uniforms.tiles_x;
    let plane = uniforms.x_offset + row / uniforms.tiles_y * uniforms.x_batch + channel * uniforms.x_channel;
    return Source(
        plane,
        uniforms.start_y + row % uniforms.tiles_y * OUTPUTS,
        uniforms.start_x + column * OUTPUTS);
}

fn load(source: Source, i: u32, j: u32) -> f32 {
    let row = source.row + i;
    let column = source.column + j;
    let inside = (row < uniforms.height) & (column < uniforms.width);
    let at = source.plane + row * uniforms.x_row + column * uniforms.x_column;
    return select(0.0, f32(x[select(0u, at, inside)]), inside);
}

fn store(destination: Destination, number: u32, value: f32) {
    v[destination + number * uniforms.v_number] = value;
}
