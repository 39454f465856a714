// depthwise_channels: a correlation (uniforms.wgsl) of groups of one channel and one output that are neighbours in memory.
//
// Layout: group strides of x and out are 1; everything else of x and out is a multiple of 4, the groups too.
// Dispatch: (x, y, 1): threads for the jobs in x * y workgroups. A job is 4 channels of OUT_ROWS x OUT_COLUMNS pixels;
//   neighbours have neighbouring channels.
// Workgroup: THREADS threads. No workgroup memory.
// Thread: a vec4 of 4 channels for each of its pixels; a row of the window at a time, (OUT_ROWS - 1) * ROWS_PER_OUT
//   + (TAP_ROWS - 1) * ROWS_PER_TAP + 1 rows that are ROW_STEP rows of the input apart; columns alike.
// Bounds: jobs beyond the last compute the last image's and store nothing; zero replaces what is outside of the input.
// Appended: THREADS, KEPT: the weights in registers: all of few taps, or 1, and they are loaded where needed; OUT_ROWS, OUT_COLUMNS, TAP_ROWS, TAP_COLUMNS, ROWS_PER_OUT, ROWS_PER_TAP, ROW_STEP, COLUMNS_PER_OUT,
//   COLUMNS_PER_TAP, COLUMN_STEP; the bindings x_in and out, of vec4s, w_in and the bias; load_bias(channel);
//   activation(x); uniforms.wgsl.

const ROWS: u32 = (OUT_ROWS - 1u) * ROWS_PER_OUT + (TAP_ROWS - 1u) * ROWS_PER_TAP + 1u;
const COLUMNS: u32 = (OUT_COLUMNS - 1u) * COLUMNS_PER_OUT + (TAP_COLUMNS - 1u) * COLUMNS_PER_TAP + 1u;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the channels and the pixels
    let job = (id.y * groups.x + id.x) * THREADS + t;
    let vectors = uniforms.groups / 4u;
    let columns = (uniforms.out_width + OUT_COLUMNS - 1u) / OUT_COLUMNS;
    let lines = (uniforms.out_height + OUT_ROWS - 1u) / OUT_ROWS;
    let channel = job % vectors * 4u;
    let x = job / vectors % columns * OUT_COLUMNS;
    let y = job / (vectors * columns) % lines * OUT_ROWS;
    let n = job / (vectors * columns * lines);
    let image = uniforms.x_offset + min(n, uniforms.batch - 1u) * uniforms.x_batch + channel;
    let first_row = uniforms.start_y + y * uniforms.stride_y;
    let first_column = uniforms.start_x + x * uniforms.stride_x;

    // Keep the weights of few taps
    var kept = array<vec4<f32>, KEPT>();
    if (KEPT > 1u) {
        for (var k = 0u; k < KEPT; k++) { // unroll
            kept[k] = load_weights(channel, k / TAP_COLUMNS, k % TAP_COLUMNS);
        }
    }

    // Multiply each row of the window by the taps that meet it
    var sums = array<vec4<f32>, OUT_ROWS * OUT_COLUMNS>();
    for (var q = 0u; q < ROWS; q++) { // unroll
        let row = first_row + q * ROW_STEP;
        let line = image + select(0u, row, row < uniforms.height) * uniforms.x_row;
        var seen = array<vec4<f32>, COLUMNS>();
        for (var e = 0u; e < COLUMNS; e++) { // unroll
            let column = first_column + e * COLUMN_STEP;
            let inside = row < uniforms.height && column < uniforms.width;
            let loaded = x_in[(line + select(0u, column, inside) * uniforms.x_column) / 4u];
            seen[e] = select(vec4<f32>(), vec4<f32>(loaded), inside);
        }
        for (var r = 0u; r < OUT_ROWS; r++) { // unroll
            for (var i = 0u; i < TAP_ROWS; i++) { // unroll
                if (r * ROWS_PER_OUT + i * ROWS_PER_TAP == q) {
                    for (var j = 0u; j < TAP_COLUMNS; j++) { // unroll
                        var w = kept[min(i * TAP_COLUMNS + j, KEPT - 1u)];
                        if (KEPT == 1u) {
                            w = load_weights(channel, i, j);
                        }
                        for (var p = 0u; p < OUT_COLUMNS; p++) { // unroll
                            const k = r * OUT_COLUMNS + p;
                            sums[k] = fma(w, seen[p * COLUMNS_PER_OUT + j * COLUMNS_PER_TAP], sums[k]);
                        }
                    }
                }
            }
        }
    }

    // Store
    let bias = vec4(load_bias(channel), load_bias(channel + 1u), load_bias(channel + 2u), load_bias(channel + 3u));
    for (var r = 0u; r < OUT_ROWS; r++) { // unroll
        for (var p = 0u; p < OUT_COLUMNS; p++) { // unroll
            if (n < uniforms.batch && y + r < uniforms.out_height && x + p < uniforms.out_width) {
                let sum = sums[r * OUT_COLUMNS + p] + bias;
                let result = vec4(activation(sum.x), activation(sum.y), activation(sum.z), activation(sum.w));
                let at = uniforms.out_offset + n * uniforms.out_batch + channel + (y + r) * uniforms.out_row
                    + (x + p) * uniforms.out_column;
                out[at / 4u] = vec4<elem>(result);
            }
        }
    }
}

// Tap (i, j) of 4 channels.
fn load_weights(channel: u32, i: u32, j: u32) -> vec4<f32> {
    let at = uniforms.w_offset + channel * uniforms.w_group + i * uniforms.w_row + j * uniforms.w_column;
    var w = vec4<f32>();
    for (var e = 0u; e < 4u; e++) { // unroll
        w[e] = f32(w_in[at + e * uniforms.w_group]);
    }
    return w;
}
