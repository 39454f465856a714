// uniforms: the uniform block of the kernels that compute a correlation, appended to each of them.
//
//   out[n,g,o,y,x] = activation(bias[g,o] + sum over c, i, j of w[g,o,c,i,j]
//                      * x[n,g,c, start_y + y * stride_y + i * dilation_y, start_x + x * stride_x + j * dilation_x])
//
// x is zero outside of the input. start_y and start_x may be negative, as i32. Strides count elements, and an index is
// computed modulo 2^32.

struct Uniforms {
    batch: u32,
    groups: u32,
    channels: u32,
    height: u32,
    width: u32,
    outputs: u32,
    kernel_height: u32,
    kernel_width: u32,
    out_height: u32,
    out_width: u32,
    start_y: u32,
    start_x: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    x_offset: u32,
    x_batch: u32,
    x_group: u32,
    x_channel: u32,
    x_row: u32,
    x_column: u32,
    w_offset: u32,
    w_group: u32,
    w_output: u32,
    w_channel: u32,
    w_row: u32,
    w_column: u32,
    out_offset: u32,
    out_batch: u32,
    out_group: u32,
    out_output: u32,
    out_row: u32,
    out_column: u32,
    // Of partial gradients of weights alone:
    rows_per_part: u32,
    first_part: u32,
    w_part: u32,
    // Of window_weights and channels_weights alone: all lanes, and the first workgroup of a launch.
    lanes: u32,
    first_x: u32,
    first_y: u32,
}
