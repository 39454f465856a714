// direct_window: a correlation (uniforms.wgsl) of few channels and taps; a window of all channels and taps in registers,
// while the channels of the result pass by.
//
// Dispatch: (x, y, z): threads for the jobs, 4 pixels of OUT_ROWS rows each, in x * y workgroups; z goes through the parts
//   of 4 * VECTORS channels of the result, and the groups.
// Workgroup: THREADS threads, neighbours along the rows of the result.
// Workgroup memory: 16 * WEIGHTS bytes: VECTORS * TAPS weights of a part, as vec4s of 4 outputs, unless FLAT.
// Thread: a window of the input (window.wgsl), and 4 x OUT_ROWS vec4s of 4 pixels for 4 outputs at a time.
// Bounds: jobs beyond the last compute the last image's and store nothing; weights of outputs beyond the last are those of
//   the last.
// Appended: THREADS, VECTORS, FLAT, WEIGHTS; load_w(index) -> f32; window.wgsl, with CHANNELS, TAP_ROWS and TAP_COLUMNS those of the
//   weights; pixels.wgsl, store.wgsl and uniforms.wgsl; load_bias(channel).

const TAPS: u32 = CHANNELS * TAP_ROWS * TAP_COLUMNS;

var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    // Find the pixels and the outputs
    let place = place_of((id.y * groups.x + id.x) * THREADS + t, OUT_ROWS);
    let parts = (uniforms.outputs + 4u * VECTORS - 1u) / (4u * VECTORS);
    let group = id.z / parts;
    let first = id.z % parts * 4u * VECTORS;
    let count = min(VECTORS, (uniforms.outputs - first + 3u) / 4u);

    // Stage weights[vector, tap]
    if (!FLAT) {
        for (var k = t; k < count * TAPS; k += THREADS) {
            weights[k] = gather(group, first + k / TAPS * 4u, k % TAPS);
        }
        workgroupBarrier();
    }

    // Load the window
    let image = min(place.plane, uniforms.batch - 1u);
    let plane = uniforms.x_offset + image * uniforms.x_batch + group * uniforms.x_group;
    let row = uniforms.start_y + place.y * uniforms.stride_y;
    let window = load_window(plane, row, uniforms.start_x + place.x * uniforms.stride_x);

    // Multiply and store, 4 outputs at a time
    for (var q = 0u; q < count; q++) {
        var sums = array<vec4<f32>, 4u * OUT_ROWS>();
        for (var c = 0u; c < CHANNELS; c++) { // unroll
            for (var i = 0u; i < TAP_ROWS; i++) { // unroll
                for (var j = 0u; j < TAP_COLUMNS; j++) { // unroll
                    const tap = (c * TAP_ROWS + i) * TAP_COLUMNS + j;
                    let w = weights_at(q * TAPS + tap, group, first + 4u * q, tap);
                    for (var r = 0u; r < OUT_ROWS; r++) { // unroll
                        const line = (c * ROWS + r * ROWS_PER_OUT + i * ROWS_PER_TAP) * BLOCKS;
                        const e = PHASE + j * COLUMNS_PER_TAP;
                        var seen = vec4<f32>();
                        for (var p = 0u; p < 4u; p++) { // unroll
                            const at_pixel = e + p * COLUMNS_PER_OUT;
                            seen[p] = window[line + at_pixel / 4u][at_pixel % 4u];
                        }
                        for (var o = 0u; o < 4u; o++) { // unroll
                            sums[o * OUT_ROWS + r] = fma(vec4(w[o]), seen, sums[o * OUT_ROWS + r]);
                        }
                    }
                }
            }
        }
        for (var o = 0u; o < 4u; o++) { // unroll
            let output = first + 4u * q + o;
            for (var r = 0u; r < OUT_ROWS; r++) { // unroll
                if (place.plane < uniforms.batch && output < uniforms.outputs && place.y + r < uniforms.out_height) {
                    let at = uniforms.out_offset + place.plane * uniforms.out_batch + group * uniforms.out_group
                        + output * uniforms.out_output + (place.y + r) * uniforms.out_row;
                    let bias = load_bias(group * uniforms.outputs + output);
                    store_pixels(at, place.x, finished(sums[o * OUT_ROWS + r], bias));
                }
            }
        }
    }
}

// The weights of 4 outputs: staged, or from where they are stored.
fn weights_at(staged: u32, group: u32, output: u32, tap: u32) -> vec4<f32> {
    if (FLAT) {
        return gather(group, output, tap);
    }
    return weights[staged];
}

fn gather(group: u32, output: u32, tap: u32) -> vec4<f32> {
    let at = uniforms.w_offset + group * uniforms.w_group + tap / (TAP_ROWS * TAP_COLUMNS) * uniforms.w_channel
        + tap / TAP_COLUMNS % TAP_ROWS * uniforms.w_row + tap % TAP_COLUMNS * uniforms.w_column;
    var w = vec4<f32>();
    for (var o = 0u; o < 4u; o++) { // unroll
        w[o] = load_w(at + min(output + o, uniforms.outputs - 1u) * uniforms.w_output);
    }
    return w;
}
