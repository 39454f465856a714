// tiles_gradient: the gradient of pooling; a thread computes a tile of ROWS by COLS cells of the images, each of STRIDE by STRIDE
// elements, of which each asks its windows. For square kernels as in tiles.wgsl; unrolled.
//
//   out[y,x] = sum over the windows that have (y,x) as a tap, of share_of(g, code, tap)
//
//   cells:  |  0  |  1  |  2  |     KERNEL 3, STRIDE 2, PADDING 1: window q begins LEAD elements before cell q + FIRST,
//            * * * * * * *          and a tile of COLS cells asks G_COLS windows
//   windows: [0  ] [1  ] [2  ]
//
// Layout: uniforms.wgsl; out has the images' shape. A value is an element of a plane, or, with CHANNELS_LAST, a vec4 of channels.
// Dispatch: as in tiles.wgsl. Workgroup: 64 threads; no workgroup memory. The order of the terms is always the same.
// Appended: uniforms.wgsl; place.wgsl; ROWS, COLS, KERNEL, STRIDE, LEAD; G_ROWS, G_COLS, the windows that a tile asks, the first
//   of which lies BEFORE windows before those of its own cells; value, the type of f32 that is computed with, and code, that of
//   u32; load_g(at, y, unit) -> array<value, G_COLS>, a row of windows, with zeros for what is outside;
//   codes_of(place) -> array<code, G_ROWS * G_COLS>, what share_of(g: value, code, tap: u32) -> value asks of a window;
//   divided(g: value, y, x) -> value, for the window (y, x); store_out(at, y, unit, array<result, COLS * STRIDE>).

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lanes = uniforms.lanes;
    let planes = 64u / lanes;
    for (var plane = group.y * planes + t / lanes; plane < uniforms.planes; plane += groups.y * planes) {
        for (var task = group.x * lanes + t % lanes; task < uniforms.tasks; task += groups.x * lanes) {
            gather(place_of(plane, task));
        }
    }
}

fn gather(place: Place) {
    let codes = codes_of(place);
    var shares = array<value, G_ROWS * G_COLS>();
    for (var q = 0u; q < G_ROWS; q++) { // unroll
        let y = place.tile * ROWS + q - BEFORE;
        let row = load_g(place.g, y, place.unit);
        for (var p = 0u; p < G_COLS; p++) { // unroll
            shares[q * G_COLS + p] = divided(row[p], y, place.unit * COLS + p - BEFORE);
        }
    }
    for (var r = 0u; r < ROWS * STRIDE; r++) { // unroll
        let y = place.tile * (ROWS * STRIDE) + r;
        if (y < uniforms.height) {
            var sums = array<value, COLS * STRIDE>();
            for (var c = 0u; c < COLS * STRIDE; c++) { // unroll
                // The windows that have (r, c) as a tap: STRIDE apart, the last one begins at it or before it.
                for (var i = 0u; i < (r + LEAD) / STRIDE + 1u - (r + LEAD + STRIDE - KERNEL) / STRIDE; i++) { // unroll
                    for (var j = 0u; j < (c + LEAD) / STRIDE + 1u - (c + LEAD + STRIDE - KERNEL) / STRIDE; j++) { // unroll
                        const Q = i + (r + LEAD + STRIDE - KERNEL) / STRIDE;
                        const P = j + (c + LEAD + STRIDE - KERNEL) / STRIDE;
                        const TAP = (r + LEAD - Q * STRIDE) * KERNEL + (c + LEAD - P * STRIDE);
                        sums[c] += share_of(shares[Q * G_COLS + P], codes[Q * G_COLS + P], TAP);
                    }
                }
            }
            var values = array<result, COLS * STRIDE>();
            for (var c = 0u; c < COLS * STRIDE; c++) { // unroll
                values[c] = result(sums[c]);
            }
            store_out(place.out, y, place.unit, values);
        }
    }
}
