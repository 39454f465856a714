// pack: out[n, g, y, x, c] = x_in[n, g, c, start_y + y * step_y, start_x + x * step_x], channels contiguous; zero outside of the input.
//
// Layout: x_in has any strides, channels of stride 1 without TRANSPOSES. out has any strides along all but the channels, which
//   are rounded up to a multiple of 4 with zeros, and stored as vec4s.
// Dispatch: (ceil(pixels / PIXELS), ceil(padded_channels / CHANNELS), batch * groups), each at most the limit; loops.
// Workgroup: 256 threads per tile of PIXELS by CHANNELS elements, which are 2,048. With TRANSPOSES, neighbouring threads
//   load neighbouring pixels and store neighbouring channels, by way of workgroup memory; the tile is odd in width so that
//   both use all banks. Else a thread copies four channels.
// Workgroup memory: CHANNELS * (PIXELS + 1) elements with TRANSPOSES, else 4 bytes.
// Appended: elem; PIXELS, CHANNELS, TRANSPOSES, TILE, the elements of the tile; the bindings x_in, out and uniforms;
//   load4(at, count), the vec4 of `count` elements from `at` on; load1(at).

struct Uniforms {
    batch: u32,
    groups: u32,
    channels: u32,
    padded_channels: u32,
    height: u32,
    width: u32,
    out_pixels: u32,
    out_width: u32,
    start_y: u32,
    start_x: u32,
    step_y: u32,
    step_x: u32,
    x_offset: u32,
    x_batch: u32,
    x_group: u32,
    x_channel: u32,
    x_row: u32,
    x_column: u32,
    out_batch: u32,
    out_group: u32,
    out_row: u32,
    out_column: u32,
}

const ROW: u32 = PIXELS + 1u;
const VECTORS: u32 = CHANNELS / 4u;
const LOADS: u32 = 8u;

var<workgroup> tile: array<elem, TILE>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var z = group.z; z < uniforms.batch * uniforms.groups; z += groups.z) {
        let n = z / uniforms.groups;
        let g = z % uniforms.groups;
        let x_at = uniforms.x_offset + n * uniforms.x_batch + g * uniforms.x_group;
        let out_at = n * uniforms.out_batch + g * uniforms.out_group;
        for (var pixel = group.x * PIXELS; pixel < uniforms.out_pixels; pixel += groups.x * PIXELS) {
            for (var channel = group.y * CHANNELS; channel < uniforms.padded_channels; channel += groups.y * CHANNELS) {
                if (TRANSPOSES) {
                    load_tile(x_at, pixel, channel, t);
                    workgroupBarrier();
                    store_tile(out_at, pixel, channel, t);
                    workgroupBarrier();
                } else {
                    copy(x_at, out_at, pixel, channel, t);
                }
            }
        }
    }
}

// Where a pixel of out comes from: the distance in x_in, and whether it is inside.
struct Source {
    distance: u32,
    inside: bool,
}

fn source(pixel: u32) -> Source {
    // A row or column before the first is a large number, too.
    let row = uniforms.start_y + pixel / uniforms.out_width * uniforms.step_y;
    let column = uniforms.start_x + pixel % uniforms.out_width * uniforms.step_x;
    let inside = pixel < uniforms.out_pixels && row < uniforms.height && column < uniforms.width;
    return Source(row * uniforms.x_row + column * uniforms.x_column, inside);
}

// Where a pixel is in out.
fn place_of(pixel: u32) -> u32 {
    return pixel / uniforms.out_width * uniforms.out_row + pixel % uniforms.out_width * uniforms.out_column;
}

fn load_tile(x_at: u32, pixel0: u32, channel0: u32, t: u32) {
    let pixel = t % PIXELS;
    let from_pixel = source(pixel0 + pixel);
    var held = array<elem, LOADS>();
    for (var i = 0u; i < LOADS; i++) { // unroll
        let channel = channel0 + t / PIXELS + i * (256u / PIXELS);
        if (from_pixel.inside && channel < uniforms.channels) {
            held[i] = load1(x_at + from_pixel.distance + channel * uniforms.x_channel);
        }
    }
    for (var i = 0u; i < LOADS; i++) { // unroll
        tile[((t / PIXELS + i * (256u / PIXELS)) * ROW + pixel) % TILE] = held[i];
    }
}

fn store_tile(out_at: u32, pixel0: u32, channel0: u32, t: u32) {
    let channel = t % VECTORS * 4u;
    for (var i = 0u; i < LOADS / 4u; i++) { // unroll
        let pixel = t / VECTORS + i * (256u / VECTORS);
        if (pixel0 + pixel < uniforms.out_pixels && channel0 + channel < uniforms.padded_channels) {
            let at = channel * ROW + pixel;
            let elements = vec4<elem>(
                tile[at % TILE], tile[(at + ROW) % TILE], tile[(at + 2u * ROW) % TILE], tile[(at + 3u * ROW) % TILE]
            );
            out[(out_at + place_of(pixel0 + pixel) + channel0 + channel) / 4u] = elements;
        }
    }
}

fn copy(x_at: u32, out_at: u32, pixel0: u32, channel0: u32, t: u32) {
    let channel = channel0 + t % VECTORS * 4u;
    for (var i = 0u; i < LOADS / 4u; i++) { // unroll
        let pixel = pixel0 + t / VECTORS + i * (256u / VECTORS);
        if (pixel < uniforms.out_pixels && channel < uniforms.padded_channels) {
            let from_pixel = source(pixel);
            var elements = vec4<elem>();
            if (from_pixel.inside) {
                elements = load4(x_at + from_pixel.distance + channel, min(4u, uniforms.channels - channel));
            }
            out[(out_at + place_of(pixel) + channel) / 4u] = elements;
        }
    }
}
