// uniforms: the uniform block of the pooling kernels, appended to each of them.
//
// Window (y, x) has the taps (y * stride_y - padding_y + i * dilation_y, x * stride_x - padding_x + j * dilation_x); those
// outside of the image do not exist. Strides of arrays count elements, and an index is computed modulo 2^32. x is of the
// images, g of windows; v is another array of images. Results are contiguous: (batch, channels, height, width), or
// (batch, height, width, channels) with CHANNELS_LAST.

struct Uniforms {
    batch: u32,
    channels: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    kernel_y: u32,
    kernel_x: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    x_offset: u32,
    x_batch: u32,
    x_channel: u32,
    x_row: u32,
    x_column: u32,
    g_offset: u32,
    g_batch: u32,
    g_channel: u32,
    g_row: u32,
    g_column: u32,
    v_offset: u32,
    v_batch: u32,
    v_channel: u32,
    v_row: u32,
    v_column: u32,
    planes: u32,
    tasks: u32,
    units: u32,
}
