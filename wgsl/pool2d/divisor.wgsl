// divisor: what the sum of a window is divided by; appended to kernels of averages. Appended with it: INCLUDES_PADDING.

fn taps_along(window: u32, length: u32, stride: u32, padding: u32, size: u32) -> u32 {
    let end = min(window * stride + length, size + 2u * padding);
    if (INCLUDES_PADDING) {
        return end - window * stride;
    }
    return min(end, size + padding) - max(window * stride, padding);
}

fn divisor(y: u32, x: u32) -> f32 {
    return f32(taps_along(y, uniforms.kernel_y, uniforms.stride_y, uniforms.padding_y, uniforms.height)
        * taps_along(x, uniforms.kernel_x, uniforms.stride_x, uniforms.padding_x, uniforms.width));
}
