// tiles_max_gradient: the gradient of maxima; a thread goes down a strip of COLS cells of the images, a row of windows a step.
//
//   out[y,x] = sum of g over the windows whose first largest tap is (y,x)
//
//   cells:  |  0  |  1  |  2  |     KERNEL 3, STRIDE 2, PADDING 1: a cell is STRIDE elements; window q begins LEAD elements
//            * * * * * * *          before cell q + BEFORE, and a strip of COLS cells asks G_COLS windows
//   windows: [0  ] [1  ] [2  ]
//
// Separable: the maxima of each row of a window are computed once, and its g goes to the first row with the largest of them.
// When no further window has a row, the row's sums, one for each column of windows, go to the first largest elements of the
// row. So an element needs KERNEL comparisons and not KERNEL^2, and no index of a maximum is computed.
//
// Layout: uniforms.wgsl; out has the images' shape. A value is an element of a plane, or, with CHANNELS_LAST, of CHANNELS channels.
// Dispatch: as in tiles.wgsl; a task is a strip of ROWS rows of windows. Workgroup: 64 threads; no workgroup memory.
// Loop iterations of a thread: for each of its tasks (ROWS + WARM) / PERIOD, rounded up. After PERIOD steps, rows are in the
// same registers again, so none is moved. The order of the terms is always the same.
// Appended: uniforms.wgsl; place.wgsl; ROWS, COLS, KERNEL, STRIDE, PADDING, at most 1, LEAD, BEFORE, G_COLS; value, the type of
//   f32 that is computed with, key, that of u32, flags, that of bool; load_x(at, y, unit) -> array<key, X_COLS>, keys of a row
//   from the first tap of the first window on, the nearest ones for what is outside; load_g(at, y, unit) ->
//   array<value, G_COLS>, a row of windows, with zeros for what is outside; store_out(at, y, unit, array<result, OUT_COLS>).

const OVERLAP: u32 = KERNEL - STRIDE;
const WARM: u32 = (KERNEL - 1u) / STRIDE;
const PERIOD: u32 = min(OVERLAP, 1u) * (KERNEL - 1u) + 1u;

struct Row {
    keys: array<key, X_COLS>,
    maxima: array<key, G_COLS>,
    sums: array<value, G_COLS>,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.planes * uniforms.tasks; i += groups.x * 64u) {
        gather(place_of(i / uniforms.tasks, i % uniforms.tasks));
    }
}

fn gather(place: Place) {
    // From the first window that has an element of the strip; a row or window before the first is a large number.
    let first = place.tile * ROWS - WARM;
    var rows = array<Row, KERNEL>();
    for (var k = 0u; k < OVERLAP; k++) { // unroll
        rows[k] = row_of(place, first * STRIDE - PADDING + k);
    }
    for (var start = 0u; start < WARM + ROWS; start += PERIOD) {
        for (var u = 0u; u < PERIOD; u++) { // unroll
            let step = start + u;
            let window = first + step;
            let top = window * STRIDE - PADDING;
            // The row top + k is rows[(u * STRIDE + k) % KERNEL].
            for (var k = 0u; k < STRIDE; k++) { // unroll
                rows[(u * STRIDE + OVERLAP + k) % KERNEL] = row_of(place, top + OVERLAP + k);
            }
            let g = load_g(place.g, window, place.unit);
            for (var p = 0u; p < G_COLS; p++) { // unroll
                var maxima = array<key, KERNEL>();
                for (var k = 0u; k < KERNEL; k++) { // unroll
                    maxima[k] = rows[(u * STRIDE + k) % KERNEL].maxima[p];
                }
                let parts = given_to_largest(g[p], maxima, window == 0u);
                for (var k = 0u; k < OVERLAP; k++) { // unroll
                    rows[(u * STRIDE + k) % KERNEL].sums[p] += parts[k];
                }
                for (var k = 0u; k < STRIDE; k++) { // unroll
                    rows[(u * STRIDE + OVERLAP + k) % KERNEL].sums[p] = parts[OVERLAP + k];
                }
            }
            if (step - WARM < ROWS) {
                for (var k = 0u; k < STRIDE; k++) { // unroll
                    store_row(place, top + k, rows[(u * STRIDE + k) % KERNEL]);
                }
            }
        }
    }
}

fn row_of(place: Place, y: u32) -> Row {
    var row = Row();
    let keys = load_x(place.x, y, place.unit);
    for (var c = 0u; c < X_COLS; c++) { // unroll
        row.keys[c] = keys[c];
    }
    for (var p = 0u; p < G_COLS; p++) { // unroll
        row.maxima[p] = keys[p * STRIDE];
        for (var k = 0u; k < KERNEL - 1u; k++) { // unroll
            row.maxima[p] = max(row.maxima[p], keys[p * STRIDE + k + 1u]);
        }
    }
    return row;
}

// g for the first largest key, 0 for the others. In the first window, padding comes before the elements.
fn given_to_largest(g: value, keys: array<key, KERNEL>, is_first: bool) -> array<value, KERNEL> {
    var is_larger = array<flags, KERNEL>();
    var largest = keys[0];
    for (var k = 0u; k < KERNEL - 1u; k++) { // unroll
        is_larger[k + 1u] = (keys[k + 1u] > largest) | flags(k < PADDING && is_first);
        largest = max(largest, keys[k + 1u]);
    }
    var parts = array<value, KERNEL>();
    var rest = g;
    for (var k = 0u; k < KERNEL - 1u; k++) { // unroll
        parts[KERNEL - 1u - k] = select(value(), rest, is_larger[KERNEL - 1u - k]);
        rest = select(rest, value(), is_larger[KERNEL - 1u - k]);
    }
    parts[0] = rest;
    return parts;
}

fn store_row(place: Place, y: u32, row: Row) {
    if (y >= uniforms.height) {
        return;
    }
    var parts = array<value, G_COLS * KERNEL>();
    for (var p = 0u; p < G_COLS; p++) { // unroll
        var keys = array<key, KERNEL>();
        for (var k = 0u; k < KERNEL; k++) { // unroll
            keys[k] = row.keys[p * STRIDE + k];
        }
        let given = given_to_largest(row.sums[p], keys, place.unit * COLS + p == BEFORE);
        for (var k = 0u; k < KERNEL; k++) { // unroll
            parts[p * KERNEL + k] = given[k];
        }
    }
    var values = array<result, OUT_COLS>();
    for (var c = 0u; c < OUT_COLS; c++) { // unroll
        // The windows that have column c as a tap: STRIDE apart, the last one begins at it or before it.
        const FIRST = (c + LEAD + STRIDE - KERNEL) / STRIDE;
        var sum = parts[FIRST * KERNEL + c + LEAD - FIRST * STRIDE];
        for (var j = 0u; j < (c + LEAD) / STRIDE - (c + LEAD + STRIDE - KERNEL) / STRIDE; j++) { // unroll
            const P = j + 1u + (c + LEAD + STRIDE - KERNEL) / STRIDE;
            sum += parts[P * KERNEL + c + LEAD - P * STRIDE];
        }
        values[c] = result(sum);
    }
    store_out(place.out, y, place.unit, values);
}
