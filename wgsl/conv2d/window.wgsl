// window: the input of a thread's pixels in registers, appended to the kernels that multiply it (direct.wgsl,
// direct_window.wgsl, window_weights.wgsl).
//
// A thread has 4 neighbouring pixels of OUT_ROWS rows, and multiplies TAP_ROWS x TAP_COLUMNS taps of CHANNELS channels.
//
//   rows       row r of the result and tap i read row r * ROWS_PER_OUT + i * ROWS_PER_TAP of the window; its rows are
//              row_step() rows of the input apart
//   columns    pixel p and tap j read element PHASE + p * COLUMNS_PER_OUT + j * COLUMNS_PER_TAP of a row, which has
//              BLOCKS vec4s; its elements are column_step() columns of the input apart
//
// X_VEC4: blocks are loaded as they are, so the column of element 0 is a multiple of 4, and so is the input's width.
// Zero replaces what is outside of the input, which is not read.
// Appended: these constants; row_step(), column_step(); load_x(index) -> f32, and load_x_vec4(index) -> vec4<f32> of a
//   multiple of 4.

const ROWS: u32 = (OUT_ROWS - 1u) * ROWS_PER_OUT + (TAP_ROWS - 1u) * ROWS_PER_TAP + 1u;
const COLUMNS: u32 = PHASE + 3u * COLUMNS_PER_OUT + (TAP_COLUMNS - 1u) * COLUMNS_PER_TAP + 1u;
const BLOCKS: u32 = (COLUMNS + 3u) / 4u;
alias Window = array<vec4<f32>, CHANNELS * ROWS * BLOCKS>;

// The window whose pixel 0 and tap 0 read this row and column of the plane that starts at `plane`.
fn load_window(plane: u32, row: u32, column: u32) -> Window {
    var window = Window();
    let first = column - PHASE;
    for (var c = 0u; c < CHANNELS; c++) { // unroll
        for (var q = 0u; q < ROWS; q++) { // unroll
            // A row or column before the first is a large number.
            let y = row + q * row_step();
            let in_plane = y < uniforms.height;
            let line = plane + c * uniforms.x_channel + select(0u, y, in_plane) * uniforms.x_row;
            for (var b = 0u; b < BLOCKS; b++) { // unroll
                if (X_VEC4) {
                    let x = first + 4u * b;
                    let inside = x < uniforms.width;
                    let loaded = load_x_vec4(line + select(0u, x, inside));
                    window[(c * ROWS + q) * BLOCKS + b] = select(vec4<f32>(), loaded, in_plane && inside);
                } else {
                    for (var e = 0u; e < min(4u, COLUMNS - 4u * b); e++) { // unroll
                        let x = first + (4u * b + e) * column_step();
                        let inside = x < uniforms.width;
                        let loaded = load_x(line + select(0u, x, inside) * uniforms.x_column);
                        window[(c * ROWS + q) * BLOCKS + b][e] = select(0.0, loaded, in_plane && inside);
                    }
                }
            }
        }
    }
    return window;
}
