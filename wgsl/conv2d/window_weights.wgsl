// window_weights: sums of the gradient of the weights over some pixels each, with windows of the input in registers.
//
//   sums[i, lane] = the sum over this lane's pixels for element i of dw, in row-major order of (g, o, c, i, j)
//
// The uniforms are those of a correlation (uniforms.wgsl), where w is dw and out is the gradient of the result.
// Dispatch: (lanes / LANES, blocks / SHARES, 1), from the first ones of a launch.
// Workgroup: LANES * SHARES threads. LANES go through the pixels, each with every lanes-th job of 4 pixels in OUT_ROWS
//   rows; SHARES neighbouring blocks see the same pixels, so that caches provide what they have in common.
// Thread: a block of dw in registers: OUTPUTS outputs x CHANNELS channels x TAP_ROWS x TAP_COLUMNS taps. For each job it
//   loads a window of the input (window.wgsl) and the gradients of its outputs.
// Workgroup memory: none. Loop iterations: jobs / lanes.
// Bounds: rows and pixels beyond the result are not added; blocks beyond the last do nothing; CHANNELS, TAP_ROWS and
//   TAP_COLUMNS divide the sizes of dw.
// Appended: THREADS, LANES, OUTPUTS, G_VEC4; sums_out and the other bindings; load_g(index) -> f32,
//   load_g_vec4(index) -> vec4<f32>; window.wgsl, pixels.wgsl and uniforms.wgsl.

const SHARES: u32 = THREADS / LANES;
const TAPS: u32 = CHANNELS * TAP_ROWS * TAP_COLUMNS;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the block of dw
    let lane = (uniforms.first_x + id.x) * LANES + t % LANES;
    let block = (uniforms.first_y + id.y) * SHARES + t / LANES;
    let tap_columns = uniforms.kernel_width / TAP_COLUMNS;
    let tap_rows = uniforms.kernel_height / TAP_ROWS;
    let channels = uniforms.channels / CHANNELS;
    let outputs = (uniforms.outputs + OUTPUTS - 1u) / OUTPUTS;
    let j = block % tap_columns * TAP_COLUMNS;
    let i = block / tap_columns % tap_rows * TAP_ROWS;
    let c = block / (tap_columns * tap_rows) % channels * CHANNELS;
    let o = block / (tap_columns * tap_rows * channels) % outputs * OUTPUTS;
    let g = block / (tap_columns * tap_rows * channels * outputs);
    if (g >= uniforms.groups) {
        return;
    }
    let plane = uniforms.x_offset + g * uniforms.x_group + c * uniforms.x_channel;
    let row = uniforms.start_y + i * uniforms.dilation_y;
    let column = uniforms.start_x + j * uniforms.dilation_x;
    let gradients = uniforms.out_offset + g * uniforms.out_group;
    let jobs = uniforms.batch * job_rows(OUT_ROWS) * job_columns();

    // Add up the products
    var sums = array<f32, OUTPUTS * TAPS>();
    for (var job = lane; job < jobs; job += uniforms.lanes) {
        let place = place_of(job, OUT_ROWS);
        let from_x = plane + place.plane * uniforms.x_batch;
        let from_g = gradients + place.plane * uniforms.out_batch;
        let window = load_window(from_x, row + place.y * uniforms.stride_y, column + place.x * uniforms.stride_x);
        for (var r = 0u; r < OUT_ROWS; r++) { // unroll
            if (place.y + r < uniforms.out_height) {
                var own = array<vec4<f32>, OUTPUTS>();
                for (var q = 0u; q < OUTPUTS; q++) { // unroll
                    let output = min(o + q, uniforms.outputs - 1u);
                    own[q] = pixels_of_g(from_g + output * uniforms.out_output + (place.y + r) * uniforms.out_row, place.x);
                }
                for (var d = 0u; d < CHANNELS; d++) { // unroll
                    for (var u = 0u; u < TAP_ROWS; u++) { // unroll
                        for (var v = 0u; v < TAP_COLUMNS; v++) { // unroll
                            const line = (d * ROWS + r * ROWS_PER_OUT + u * ROWS_PER_TAP) * BLOCKS;
                            const e = PHASE + v * COLUMNS_PER_TAP;
                            for (var p = 0u; p < 4u; p++) { // unroll
                                const at_pixel = e + p * COLUMNS_PER_OUT;
                                let x = window[line + at_pixel / 4u][at_pixel % 4u];
                                // Whatever x is, a pixel beyond the last adds 0.
                                let seen = select(0.0, x, G_VEC4 || place.x + p < uniforms.out_width);
                                for (var q = 0u; q < OUTPUTS; q++) { // unroll
                                    const k = q * TAPS + (d * TAP_ROWS + u) * TAP_COLUMNS + v;
                                    sums[k] = fma(own[q][p], seen, sums[k]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    // Store
    for (var q = 0u; q < OUTPUTS; q++) { // unroll
        if (o + q < uniforms.outputs) {
            for (var d = 0u; d < CHANNELS; d++) { // unroll
                for (var u = 0u; u < TAP_ROWS; u++) { // unroll
                    for (var v = 0u; v < TAP_COLUMNS; v++) { // unroll
                        let channel = ((g * uniforms.outputs + o + q) * uniforms.channels + c + d);
                        let element = (channel * uniforms.kernel_height + i + u) * uniforms.kernel_width + j + v;
                        const k = q * TAPS + (d * TAP_ROWS + u) * TAP_COLUMNS + v;
                        sums_out[element * uniforms.lanes + lane] = sums[k];
                    }
                }
            }
        }
    }
}

// The gradients of pixels x to x + 3 of a row; 0 beyond the last.
fn pixels_of_g(row: u32, x: u32) -> vec4<f32> {
    if (G_VEC4) {
        return load_g_vec4(row + x);
    }
    var found = vec4<f32>();
    for (var p = 0u; p < 4u; p++) { // unroll
        let inside = x + p < uniforms.out_width;
        found[p] = select(0.0, load_g(row + select(0u, x + p, inside) * uniforms.out_column), inside);
    }
    return found;
}
