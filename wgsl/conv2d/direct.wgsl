// direct: a correlation (uniforms.wgsl); sums in registers, while the channels of the input pass by.
//
// Dispatch: (x, y, z): threads for the jobs, 4 pixels of OUT_ROWS rows each, in x * y workgroups, and z for the parts of
//   OUTPUTS channels of the result. A job has a group of its own where FLAT; else z goes through the groups, too.
// Workgroup: THREADS threads, neighbours along the rows of the result.
// Workgroup memory: 16 * WEIGHTS bytes: the weights of as many channels as fit, unless FLAT, as vec4s of 4 outputs.
// Thread: OUTPUTS x OUT_ROWS vec4s of 4 pixels. For each channel, TAP_ROWS x TAP_COLUMNS taps at a time, it loads a
//   window of the input (window.wgsl, CHANNELS is 1) and multiplies it by the weights of its outputs, LANES at a time.
// Loop iterations of a thread: channels * (kernel height / TAP_ROWS + 1) * (kernel width / TAP_COLUMNS + 1) at most.
// Bounds: jobs beyond the last compute the last image's and store nothing; weights of outputs beyond the last are those of
//   the last; TAP_ROWS and TAP_COLUMNS divide the kernel's size.
// Appended: THREADS, OUTPUTS, LANES (4, or 1 for 1 output), FLAT, WEIGHTS; load_w(index) -> f32; window.wgsl, pixels.wgsl,
//   store.wgsl and uniforms.wgsl; load_bias(channel).

var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

const VECTORS: u32 = OUTPUTS / LANES;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the pixels and the outputs
    let place = place_of((id.y * groups.x + id.x) * THREADS + t, OUT_ROWS);
    let parts = (uniforms.outputs + OUTPUTS - 1u) / OUTPUTS;
    let group = select(id.z / parts, place.plane % uniforms.groups, FLAT);
    let n = select(place.plane, place.plane / uniforms.groups, FLAT);
    let first = id.z % parts * OUTPUTS;
    let image = min(n, uniforms.batch - 1u);
    let plane = uniforms.x_offset + image * uniforms.x_batch + group * uniforms.x_group;
    let row = uniforms.start_y + place.y * uniforms.stride_y;
    let column = uniforms.start_x + place.x * uniforms.stride_x;
    let kernels = uniforms.w_offset + group * uniforms.w_group;
    let taps = uniforms.kernel_height * uniforms.kernel_width;
    let stage = select(WEIGHTS / (taps * VECTORS), uniforms.channels, FLAT);

    var sums = array<vec4<f32>, OUTPUTS * OUT_ROWS>();
    for (var c0 = 0u; c0 < uniforms.channels; c0 += stage) {
        let c1 = min(c0 + stage, uniforms.channels);
        // Stage weights[channel, tap, vector]
        if (!FLAT) {
            workgroupBarrier();
            for (var k = t; k < (c1 - c0) * taps * VECTORS; k += THREADS) {
                let tap = k / VECTORS % taps;
                let at = kernels + (c0 + k / VECTORS / taps) * uniforms.w_channel
                    + tap / uniforms.kernel_width * uniforms.w_row + tap % uniforms.kernel_width * uniforms.w_column;
                weights[k] = gather(at, first + k % VECTORS * LANES);
            }
            workgroupBarrier();
        }
        // Multiply
        for (var c = c0; c < c1; c++) {
            for (var i = 0u; i < uniforms.kernel_height; i += TAP_ROWS) {
                for (var j = 0u; j < uniforms.kernel_width; j += TAP_COLUMNS) {
                    let at = plane + c * uniforms.x_channel;
                    let window = load_window(at, row + i * uniforms.dilation_y, column + j * uniforms.dilation_x);
                    for (var u = 0u; u < TAP_ROWS; u++) { // unroll
                        for (var v = 0u; v < TAP_COLUMNS; v++) { // unroll
                            var seen = array<vec4<f32>, OUT_ROWS>();
                            for (var r = 0u; r < OUT_ROWS; r++) { // unroll
                                const e = PHASE + v * COLUMNS_PER_TAP;
                                const line = (r * ROWS_PER_OUT + u * ROWS_PER_TAP) * BLOCKS;
                                for (var p = 0u; p < 4u; p++) { // unroll
                                    const at_pixel = e + p * COLUMNS_PER_OUT;
                                    seen[r][p] = window[line + at_pixel / 4u][at_pixel % 4u];
                                }
                            }
                            let staged = ((c - c0) * taps + (i + u) * uniforms.kernel_width + j + v) * VECTORS;
                            let stored = kernels + c * uniforms.w_channel + (i + u) * uniforms.w_row
                                + (j + v) * uniforms.w_column;
                            for (var q = 0u; q < VECTORS; q++) { // unroll
                                let w = weights_at(staged + q, stored, first + q * LANES);
                                for (var o = 0u; o < LANES; o++) { // unroll
                                    for (var r = 0u; r < OUT_ROWS; r++) { // unroll
                                        const k = (q * LANES + o) * OUT_ROWS + r;
                                        sums[k] = fma(vec4(w[o]), seen[r], sums[k]);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    // Store
    for (var o = 0u; o < OUTPUTS; o++) { // unroll
        let channel = group * uniforms.outputs + first + o;
        for (var r = 0u; r < OUT_ROWS; r++) { // unroll
            if (n < uniforms.batch && first + o < uniforms.outputs && place.y + r < uniforms.out_height) {
                let at = uniforms.out_offset + n * uniforms.out_batch + group * uniforms.out_group
                    + (first + o) * uniforms.out_output + (place.y + r) * uniforms.out_row;
                store_pixels(at, place.x, finished(sums[o * OUT_ROWS + r], load_bias(channel)));
            }
        }
    }
}

// The weights of LANES outputs: staged, or from where they are stored.
fn weights_at(staged: u32, stored: u32, output: u32) -> vec4<f32> {
    if (FLAT) {
        return gather(stored, output);
    }
    return weights[staged];
}

fn gather(at: u32, output: u32) -> vec4<f32> {
    var w = vec4<f32>();
    for (var o = 0u; o < LANES; o++) { // unroll
        w[o] = load_w(at + min(output + o, uniforms.outputs - 1u) * uniforms.w_output);
    }
    return w;
}
