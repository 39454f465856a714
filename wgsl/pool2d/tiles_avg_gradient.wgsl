// tiles_avg_gradient: the gradient of averages; a thread goes down a strip of COLS cells of the images, a row of windows a step.
//
//   out[y,x] = sum over the windows that have (y,x) as a tap, of g / divisor
//
// Separable: a row of windows gives each column of the images a sum, which is added to the KERNEL rows of these windows.
// Cells, windows, dispatch, workgroup and loops: as in tiles_max_gradient.wgsl. The order of the terms is always the same.
//
// Layout: uniforms.wgsl; out has the images' shape. A value is an element of a plane, or, with CHANNELS_LAST, of CHANNELS channels.
// Appended: uniforms.wgsl; place.wgsl; ROWS, COLS, KERNEL, STRIDE, PADDING, LEAD, BEFORE, G_COLS; value, the type of f32 that is
//   computed with; load_g(at, y, unit) -> array<value, G_COLS>, a row of windows, with zeros for what is outside;
//   quotient(g: value, y, x) -> value, by the divisor of the window (y, x); store_out(at, y, unit, array<result, OUT_COLS>).

const OVERLAP: u32 = KERNEL - STRIDE;
const WARM: u32 = (KERNEL - 1u) / STRIDE;
const PERIOD: u32 = min(OVERLAP, 1u) * (KERNEL - 1u) + 1u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.planes * uniforms.tasks; i += groups.x * 64u) {
        gather(place_of(i / uniforms.tasks, i % uniforms.tasks));
    }
}

fn gather(place: Place) {
    // From the first window that has an element of the strip; a row or window before the first is a large number.
    let first = place.tile * ROWS - WARM;
    var sums = array<value, KERNEL * OUT_COLS>();
    for (var start = 0u; start < WARM + ROWS; start += PERIOD) {
        for (var u = 0u; u < PERIOD; u++) { // unroll
            let step = start + u;
            let window = first + step;
            var shares = load_g(place.g, window, place.unit);
            for (var p = 0u; p < G_COLS; p++) { // unroll
                shares[p] = quotient(shares[p], window, place.unit * COLS + p - BEFORE);
            }
            // The sums of the row window * STRIDE - PADDING + k begin at (u * STRIDE + k) % KERNEL * OUT_COLS.
            for (var c = 0u; c < OUT_COLS; c++) { // unroll
                // The windows that have column c as a tap: STRIDE apart, the last one begins at it or before it.
                var sum = shares[(c + LEAD + STRIDE - KERNEL) / STRIDE];
                for (var j = 0u; j < (c + LEAD) / STRIDE - (c + LEAD + STRIDE - KERNEL) / STRIDE; j++) { // unroll
                    sum += shares[j + 1u + (c + LEAD + STRIDE - KERNEL) / STRIDE];
                }
                for (var k = 0u; k < OVERLAP; k++) { // unroll
                    sums[(u * STRIDE + k) % KERNEL * OUT_COLS + c] += sum;
                }
                for (var k = 0u; k < STRIDE; k++) { // unroll
                    sums[(u * STRIDE + OVERLAP + k) % KERNEL * OUT_COLS + c] = sum;
                }
            }
            for (var k = 0u; k < STRIDE; k++) { // unroll
                let y = window * STRIDE - PADDING + k;
                if (step - WARM < ROWS && y < uniforms.height) {
                    var values = array<result, OUT_COLS>();
                    for (var c = 0u; c < OUT_COLS; c++) { // unroll
                        values[c] = result(sums[(u * STRIDE + k) % KERNEL * OUT_COLS + c]);
                    }
                    store_out(place.out, y, place.unit, values);
                }
            }
        }
    }
}
