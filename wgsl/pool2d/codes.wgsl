// codes: the number of the first largest tap of each window that a tile asks, from rows of the images, each of which is loaded
// once; appended to tiles_gradient.wgsl. Taps outside of the image have the key 0, which no tap inside has.
// Appended with it: load_x(at, y, unit) -> array<code, X_COLS>, keys of a row from the first tap of the first window on.

// Which tap of a row, and its key.
struct Found {
    key: code,
    tap: code,
}

fn larger(a: Found, b: Found) -> Found {
    let second = b.key > a.key;
    return Found(select(a.key, b.key, second), select(a.tap, b.tap, second));
}

fn codes_of(place: Place) -> array<code, G_ROWS * G_COLS> {
    var found = array<Found, G_ROWS * G_COLS>();
    for (var r = 0u; r < (G_ROWS - 1u) * STRIDE + KERNEL; r++) { // unroll
        let row = load_x(place.x, place.tile * (ROWS * STRIDE) + r - LEAD, place.unit);
        for (var p = 0u; p < G_COLS; p++) { // unroll
            var part = Found(row[p * STRIDE], code(0u));
            for (var k = 0u; k < KERNEL - 1u; k++) { // unroll
                part = larger(part, Found(row[p * STRIDE + k + 1u], code(k + 1u)));
            }
            for (var i = 0u; i < min(r / STRIDE, G_ROWS - 1u) + 1u - (max(r + STRIDE, KERNEL) - KERNEL) / STRIDE; i++) { // unroll
                const Q = i + (max(r + STRIDE, KERNEL) - KERNEL) / STRIDE;
                let moved = Found(part.key, part.tap + (r - Q * STRIDE) * KERNEL);
                found[Q * G_COLS + p] = larger(found[Q * G_COLS + p], moved);
            }
        }
    }
    var codes = array<code, G_ROWS * G_COLS>();
    for (var i = 0u; i < G_ROWS * G_COLS; i++) { // unroll
        codes[i] = found[i].tap;
    }
    return codes;
}
