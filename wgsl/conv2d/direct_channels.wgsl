// direct_channels: a correlation (uniforms.wgsl) of few channels, whose outputs are neighbours in memory.
//
// Layout: any strides of x; the output stride of out is 1, and everything else of out is a multiple of 4, the outputs too.
// Dispatch: (x, y, z): THREADS / LANES jobs of PIXELS neighbouring pixels for each of x * y workgroups; z goes through the
//   parts of 4 * LANES outputs, and the groups.
// Workgroup: THREADS threads: LANES neighbours have 4 outputs each of the same pixels.
// Workgroup memory: 16 * WEIGHTS bytes: weights[tap, lane], as vec4s of 4 outputs, taps in row-major order of (c, i, j).
// Thread: a vec4 of 4 outputs for each of its pixels; a row of the input at a time, whose columns are COLUMN_STEP apart.
// Bounds: jobs beyond the last compute the last image's and store nothing; weights of outputs beyond the last are those of
//   the last; zero replaces what is outside of the input. WEIGHTS >= LANES * taps.
// Appended: THREADS, LANES, PIXELS, TAP_COLUMNS, COLUMNS_PER_OUT, COLUMNS_PER_TAP, COLUMN_STEP, WEIGHTS; the bindings x_in,
//   w_in, out, of vec4s, and the bias; load_bias(channel); activation(x); uniforms.wgsl.

const COLUMNS: u32 = (PIXELS - 1u) * COLUMNS_PER_OUT + (TAP_COLUMNS - 1u) * COLUMNS_PER_TAP + 1u;

var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the outputs and the pixels
    let lane = t % LANES;
    let parts = (uniforms.outputs + 4u * LANES - 1u) / (4u * LANES);
    let group = id.z / parts;
    let part = id.z % parts * 4u * LANES;
    let output = part + 4u * lane;
    let columns = (uniforms.out_width + PIXELS - 1u) / PIXELS;
    let job = (id.y * groups.x + id.x) * (THREADS / LANES) + t / LANES;
    let x = job % columns * PIXELS;
    let y = job / columns % uniforms.out_height;
    let n = job / (columns * uniforms.out_height);

    // Stage the weights
    let area = uniforms.kernel_height * TAP_COLUMNS;
    for (var k = t; k < uniforms.channels * area * LANES; k += THREADS) {
        let tap = k / LANES;
        let at = uniforms.w_offset + group * uniforms.w_group + tap / area * uniforms.w_channel
            + tap / TAP_COLUMNS % uniforms.kernel_height * uniforms.w_row + tap % TAP_COLUMNS * uniforms.w_column;
        for (var e = 0u; e < 4u; e++) { // unroll
            let own = min(part + k % LANES * 4u + e, uniforms.outputs - 1u);
            weights[k][e] = f32(w_in[at + own * uniforms.w_output]);
        }
    }
    workgroupBarrier();

    // Multiply each row of the input by a row of taps
    let image = uniforms.x_offset + min(n, uniforms.batch - 1u) * uniforms.x_batch + group * uniforms.x_group;
    let first_column = uniforms.start_x + x * uniforms.stride_x;
    var sums = array<vec4<f32>, PIXELS>();
    for (var c = 0u; c < uniforms.channels; c++) {
        for (var i = 0u; i < uniforms.kernel_height; i++) {
            let row = uniforms.start_y + y * uniforms.stride_y + i * uniforms.dilation_y;
            let line = image + c * uniforms.x_channel + select(0u, row, row < uniforms.height) * uniforms.x_row;
            var seen = array<f32, COLUMNS>();
            for (var e = 0u; e < COLUMNS; e++) { // unroll
                let column = first_column + e * COLUMN_STEP;
                let inside = row < uniforms.height && column < uniforms.width;
                seen[e] = select(0.0, f32(x_in[line + select(0u, column, inside) * uniforms.x_column]), inside);
            }
            let taps = (c * uniforms.kernel_height + i) * TAP_COLUMNS;
            for (var j = 0u; j < TAP_COLUMNS; j++) { // unroll
                let w = weights[(taps + j) * LANES + lane];
                for (var p = 0u; p < PIXELS; p++) { // unroll
                    sums[p] = fma(w, vec4(seen[p * COLUMNS_PER_OUT + j * COLUMNS_PER_TAP]), sums[p]);
                }
            }
        }
    }

    // Store
    if (n < uniforms.batch && output < uniforms.outputs) {
        let channel = group * uniforms.outputs + output;
        let bias = vec4(load_bias(channel), load_bias(channel + 1u), load_bias(channel + 2u), load_bias(channel + 3u));
        let start = uniforms.out_offset + n * uniforms.out_batch + group * uniforms.out_group + output
            + y * uniforms.out_row;
        for (var p = 0u; p < PIXELS; p++) { // unroll
            if (x + p < uniforms.out_width) {
                let sum = sums[p] + bias;
                let result = vec4(activation(sum.x), activation(sum.y), activation(sum.z), activation(sum.w));
                out[(start + (x + p) * uniforms.out_column) / 4u] = vec4<elem>(result);
            }
        }
    }
}
