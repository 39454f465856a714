// The distance of element (row, col) of c from the first one. Divisions for the axes that are compound, and no others: here
// the accumulators leave few registers.
fn c_distance(row: u32, col: u32) -> u32 {
    var down = row * uniforms.c_row_stride;
    if (C_M_COMPOUND) {
        down = along(row, uniforms.m_sizes, uniforms.c_m);
    }
    var right = col;
    if (C_N_COMPOUND) {
        right = along(col, uniforms.n_sizes, uniforms.c_n);
    }
    return down + right;
}
