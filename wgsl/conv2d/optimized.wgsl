// optimized: a correlation (uniforms.wgsl) by tiles of x with halo, and of w, in workgroup memory.
//
//   workgroup:  16 x 16 pixels of the result for 16 outputs of a group, of one image
//   thread:      4 pixels, in rows 4 apart, for all 16 outputs: 16 vec4 accumulators
//
// Each step copies as many channels of x and w as fit: x_tile is (channel, row, column) with the halo that the taps of the
// workgroup's pixels reach, zero outside of the input; w_tile is (channel, tap, output / 4). Every element of x_tile is
// then read from workgroup memory once for each of its taps, and multiplied by 16 outputs.
// Layout: any strides. Groups, stride and dilation, as far as one channel of both tiles fits.
// Dispatch: (tiles of 16 x 16 pixels, groups * ceil(outputs / 16), batch), each at most the limit; grid-stride loops.
// Workgroup: 64 threads; X_TILE * 4 + W_TILE * 16 bytes.
// Loop iterations of a thread: channels * taps, and those that copy tiles.
// Appended: X_TILE and W_TILE, their lengths; uniforms.wgsl; the bindings x_in, w_in and out, of `elem`, and of the bias;
//   load_bias(channel) -> f32; activation(x) -> f32.

const EDGE: u32 = 16u;
const OUTPUTS: u32 = 16u;
const THREADS: u32 = 64u;
const PIXELS: u32 = 4u;
const QUADS: u32 = 4u;

var<workgroup> x_tile: array<f32, X_TILE>;
var<workgroup> w_tile: array<vec4<f32>, W_TILE>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let across = (uniforms.out_width + EDGE - 1u) / EDGE;
    let tiles = across * ((uniforms.out_height + EDGE - 1u) / EDGE);
    let blocks = (uniforms.outputs + OUTPUTS - 1u) / OUTPUTS;
    for (var n = group.z; n < uniforms.batch; n += groups.z) {
        for (var block = group.y; block < uniforms.groups * blocks; block += groups.y) {
            for (var tile = group.x; tile < tiles; tile += groups.x) {
                compute(n, block / blocks, block % blocks * OUTPUTS, tile / across * EDGE, tile % across * EDGE, t);
            }
        }
    }
}

fn compute(n: u32, group: u32, output: u32, y: u32, x: u32, t: u32) {
    let taps = uniforms.kernel_height * uniforms.kernel_width;
    let rows = (EDGE - 1u) * uniforms.stride_y + (uniforms.kernel_height - 1u) * uniforms.dilation_y + 1u;
    let columns = (EDGE - 1u) * uniforms.stride_x + (uniforms.kernel_width - 1u) * uniforms.dilation_x + 1u;
    let step = min(X_TILE / (rows * columns), W_TILE / (taps * QUADS));
    let thread_x = t % EDGE;
    let thread_y = t / EDGE;
    let pixel_step = THREADS / EDGE * uniforms.stride_y * columns;

    var acc = array<vec4<f32>, PIXELS * QUADS>();
    for (var first = 0u; first < uniforms.channels; first += step) {
        let count = min(step, uniforms.channels - first);
        copy_x(n, group, first, count, rows, columns, y * uniforms.stride_y, x * uniforms.stride_x, t);
        copy_w(group, output, first, count, taps, t);
        workgroupBarrier();
        for (var c = 0u; c < count; c++) {
            for (var i = 0u; i < uniforms.kernel_height; i++) {
                let row = c * rows + thread_y * uniforms.stride_y + i * uniforms.dilation_y;
                var from_x = row * columns + thread_x * uniforms.stride_x;
                var from_w = (c * taps + i * uniforms.kernel_width) * QUADS;
                for (var j = 0u; j < uniforms.kernel_width; j++) {
                    var w = array<vec4<f32>, QUADS>();
                    for (var q = 0u; q < QUADS; q++) { // unroll
                        w[q] = w_tile[from_w + q];
                    }
                    for (var p = 0u; p < PIXELS; p++) { // unroll
                        let value = x_tile[from_x + p * pixel_step];
                        for (var q = 0u; q < QUADS; q++) { // unroll
                            acc[p * QUADS + q] = fma(vec4(value), w[q], acc[p * QUADS + q]);
                        }
                    }
                    from_x += uniforms.dilation_x;
                    from_w += QUADS;
                }
            }
        }
        workgroupBarrier();
    }

    // Epilogue. The next output is rotated to acc[p * QUADS].x, so that the text of a store, with its activation, is not
    // there 64 times.
    let column = x + thread_x;
    let image = uniforms.out_offset + n * uniforms.out_batch + group * uniforms.out_group + column * uniforms.out_column;
    for (var part = 0u; part < QUADS; part++) {
        for (var e = 0u; e < 4u; e++) {
            let channel = output + part * 4u + e;
            if (channel < uniforms.outputs && column < uniforms.out_width) {
                let bias = load_bias(group * uniforms.outputs + channel);
                let plane = image + channel * uniforms.out_output;
                for (var p = 0u; p < PIXELS; p++) { // unroll
                    let row = y + thread_y + p * (THREADS / EDGE);
                    if (row < uniforms.out_height) {
                        out[plane + row * uniforms.out_row] = elem(activation(acc[p * QUADS].x + bias));
                    }
                }
            }
            for (var p = 0u; p < PIXELS; p++) { // unroll
                acc[p * QUADS] = acc[p * QUADS].yzwx;
            }
        }
        for (var p = 0u; p < PIXELS; p++) { // unroll
            for (var q = 0u; q < QUADS - 1u; q++) { // unroll
                acc[p * QUADS + q] = acc[p * QUADS + q + 1u];
            }
        }
    }
}

// Copies `count` channels of x with halo, from the input pixel of the tile's first tap at (y, x) + start.
fn copy_x(n: u32, group: u32, first: u32, count: u32, rows: u32, columns: u32, y: u32, x: u32, t: u32) {
    let plane = uniforms.x_offset + n * uniforms.x_batch + group * uniforms.x_group + first * uniforms.x_channel;
    // A tile has 16 rows and columns or more: 64 elements further on is at most 4 rows, and then a column, further.
    var column = t % columns;
    var row = t / columns;
    var c = 0u;
    for (var at = t; at < count * rows * columns; at += THREADS) {
        // A row or column before the first is a large number, too.
        let from_row = uniforms.start_y + y + row;
        let from_column = uniforms.start_x + x + column;
        var value = 0.0;
        if (from_row < uniforms.height && from_column < uniforms.width) {
            value = f32(x_in[plane + c * uniforms.x_channel + from_row * uniforms.x_row + from_column * uniforms.x_column]);
        }
        x_tile[at] = value;
        column += THREADS % columns;
        row += THREADS / columns;
        if (column >= columns) {
            column -= columns;
            row++;
        }
        if (row >= rows) {
            row -= rows;
            c++;
        }
    }
}

// Copies the weights of `count` channels for 16 outputs; beyond the last output zeros.
fn copy_w(group: u32, output: u32, first: u32, count: u32, taps: u32, t: u32) {
    let start = uniforms.w_offset + group * uniforms.w_group + first * uniforms.w_channel;
    for (var at = t; at < count * taps * QUADS; at += THREADS) {
        let tap = at / QUADS % taps;
        let from_w = start + at / QUADS / taps * uniforms.w_channel + tap / uniforms.kernel_width * uniforms.w_row
            + tap % uniforms.kernel_width * uniforms.w_column;
        var value = vec4<f32>();
        for (var e = 0u; e < 4u; e++) { // unroll
            let channel = output + at % QUADS * 4u + e;
            if (channel < uniforms.outputs) {
                value[e] = f32(w_in[from_w + channel * uniforms.w_output]);
            }
        }
        w_tile[at] = value;
    }
}
