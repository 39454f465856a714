// channels_weights: sums of the gradient of the weights over some pixels each, where the channels of the gradient of the
// result are neighbours in memory: planes of a depthwise convolution (PLANES), or outputs of few channels of the input.
//
//   sums[i, lane] = the sum over this lane's pixels for element i of dw, in row-major order of (g, o, c, i, j)
//
// The uniforms are those of a correlation (uniforms.wgsl), where w is dw and out is the gradient of the result.
// Layout: the stride of the groups (PLANES), or else of the outputs, is 1 in out, and everything else of out is a multiple
//   of 4, the number of these, too; x alike where PLANES, else of any strides.
// Dispatch: (x, y, 1): threads for the vectors of 4 channels of each lane; y goes through the blocks of TAP_ROWS rows of
//   taps, and through channels and groups unless PLANES.
// Workgroup: THREADS threads, neighbours along the channels. No workgroup memory.
// Thread: TAP_ROWS x TAP_COLUMNS vec4s of dw. It goes through every lanes-th job of PIXELS neighbouring pixels.
// Loop iterations: jobs / lanes. Bounds: pixels beyond the result are not added; TAP_ROWS divides the height of the kernel.
// Appended: THREADS, PIXELS, TAP_ROWS, TAP_COLUMNS, COLUMNS_PER_OUT, COLUMNS_PER_TAP, COLUMN_STEP, PLANES; the bindings
//   x_in, g_in, of vec4s, and sums_out; load_x(index) -> vec4<f32>, of 4 planes, or 4 times the same; uniforms.wgsl.

const COLUMNS: u32 = (PIXELS - 1u) * COLUMNS_PER_OUT + (TAP_COLUMNS - 1u) * COLUMNS_PER_TAP + 1u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    // Find the channels, the lane and the block of taps
    let vectors = select(uniforms.outputs, uniforms.groups, PLANES) / 4u;
    let thread = (uniforms.first_x + id.x) * THREADS + t;
    let channel = thread % vectors * 4u;
    let lane = thread / vectors;
    let block = uniforms.first_y + id.y;
    let tap_rows = uniforms.kernel_height / TAP_ROWS;
    let i = block % tap_rows * TAP_ROWS;
    let c = block / tap_rows % uniforms.channels;
    let group = block / (tap_rows * uniforms.channels);
    if (lane >= uniforms.lanes) {
        return;
    }
    let plane = uniforms.x_offset + select(group * uniforms.x_group + c * uniforms.x_channel, channel, PLANES);
    let gradients = uniforms.out_offset + channel + select(group * uniforms.out_group, 0u, PLANES);
    let columns = (uniforms.out_width + PIXELS - 1u) / PIXELS;
    let jobs = uniforms.batch * uniforms.out_height * columns;

    // Add up the products
    var sums = array<vec4<f32>, TAP_ROWS * TAP_COLUMNS>();
    for (var job = lane; job < jobs; job += uniforms.lanes) {
        let x = job % columns * PIXELS;
        let y = job / columns % uniforms.out_height;
        let n = job / (columns * uniforms.out_height);
        let from_g = gradients + n * uniforms.out_batch + y * uniforms.out_row;
        var own = array<vec4<f32>, PIXELS>();
        for (var p = 0u; p < PIXELS; p++) { // unroll
            let inside = x + p < uniforms.out_width;
            let at = from_g + select(0u, x + p, inside) * uniforms.out_column;
            own[p] = select(vec4<f32>(), vec4<f32>(g_in[at / 4u]), inside);
        }
        let first_column = uniforms.start_x + x * uniforms.stride_x;
        for (var u = 0u; u < TAP_ROWS; u++) { // unroll
            let row = uniforms.start_y + y * uniforms.stride_y + (i + u) * uniforms.dilation_y;
            let line = plane + n * uniforms.x_batch + select(0u, row, row < uniforms.height) * uniforms.x_row;
            var seen = array<vec4<f32>, COLUMNS>();
            for (var e = 0u; e < COLUMNS; e++) { // unroll
                let column = first_column + e * COLUMN_STEP;
                let inside = row < uniforms.height && column < uniforms.width;
                seen[e] = select(vec4<f32>(), load_x(line + select(0u, column, inside) * uniforms.x_column), inside);
            }
            for (var p = 0u; p < PIXELS; p++) { // unroll
                // Whatever x is, a pixel beyond the last adds 0.
                if (x + p < uniforms.out_width) {
                    for (var v = 0u; v < TAP_COLUMNS; v++) { // unroll
                        const k = u * TAP_COLUMNS + v;
                        sums[k] = fma(own[p], seen[p * COLUMNS_PER_OUT + v * COLUMNS_PER_TAP], sums[k]);
                    }
                }
            }
        }
    }

    // Store
    let area = uniforms.kernel_height * TAP_COLUMNS;
    for (var e = 0u; e < 4u; e++) { // unroll
        let weights = select((group * uniforms.outputs + channel + e) * uniforms.channels + c, channel + e, PLANES);
        for (var u = 0u; u < TAP_ROWS; u++) { // unroll
            for (var v = 0u; v < TAP_COLUMNS; v++) { // unroll
                let element = weights * area + (i + u) * TAP_COLUMNS + v;
                sums_out[element * uniforms.lanes + lane] = sums[u * TAP_COLUMNS + v][e];
            }
        }
    }
}
