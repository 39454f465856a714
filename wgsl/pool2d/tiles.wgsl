// tiles: what pooling computes of each window; a thread computes a tile of ROWS by COLS windows from rows of the image, each of
// which it loads once. For square kernels of KERNEL taps a side, STRIDE apart, padded by PADDING; unrolled.
//
//   image rows                      partial results                  windows
//   load_x(row) -> X_COLS values    KERNEL neighbours of the row     those that the row is a tap of, 1 to KERNEL rows
//
// Layout: uniforms.wgsl. A value is an element of a plane, or, with CHANNELS_LAST, of CHANNELS channels.
// Dispatch: (ceil(planes * tasks / 64), 1, 1), at most the limit; grid-stride loop. A task is a tile of a plane, or of an image
//   and CHANNELS channels.
// Workgroup: 64 threads; no workgroup memory. Neighbouring threads have neighbouring tiles of a row, or channels.
// Appended: uniforms.wgsl; place.wgsl; ROWS, COLS, KERNEL, STRIDE, PADDING; total, the type of a value that is computed with,
//   whose zero leaves others as they are by combine(a, b) -> total; load_x(at, y, unit) -> array<total, X_COLS>, where X_COLS
//   is (COLS - 1) * STRIDE + KERNEL, rows of the image from the column unit * COLS * STRIDE - PADDING on, where values outside
//   are zeros, or the nearest ones inside, which a maximum may count twice; finished(x: total, y, x) -> result, for the
//   window (y, x); store_out(at, y, unit, array<result, OUT_COLS>), where OUT_COLS is COLS.

const IN_ROWS: u32 = (ROWS - 1u) * STRIDE + KERNEL;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.planes * uniforms.tasks; i += groups.x * 64u) {
        pool(place_of(i / uniforms.tasks, i % uniforms.tasks));
    }
}

fn pool(place: Place) {
    var totals = array<total, ROWS * COLS>();
    for (var r = 0u; r < IN_ROWS; r++) { // unroll
        let row = load_x(place.x, place.tile * (ROWS * STRIDE) + r - PADDING, place.unit);
        for (var c = 0u; c < COLS; c++) { // unroll
            var part = row[c * STRIDE];
            for (var k = 0u; k < KERNEL - 1u; k++) { // unroll
                part = combine(part, row[c * STRIDE + k + 1u]);
            }
            // The windows of the column that row r belongs to.
            for (var i = 0u; i < min(r / STRIDE, ROWS - 1u) + 1u - (max(r + STRIDE, KERNEL) - KERNEL) / STRIDE; i++) { // unroll
                const AT = (i + (max(r + STRIDE, KERNEL) - KERNEL) / STRIDE) * COLS + c;
                totals[AT] = combine(totals[AT], part);
            }
        }
    }
    for (var o = 0u; o < ROWS; o++) { // unroll
        let y = place.tile * ROWS + o;
        if (y < uniforms.out_height) {
            var values = array<result, COLS>();
            for (var c = 0u; c < COLS; c++) { // unroll
                values[c] = finished(totals[o * COLS + c], y, place.unit * COLS + c);
            }
            store_out(place.out, y, place.unit, values);
        }
    }
}
