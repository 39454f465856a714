// basic: a correlation (uniforms.wgsl), one thread per element of the result. Any strides, groups, stride and dilation.
//
// Dispatch: (ceil(out_width * out_height / 64), groups * outputs, batch), each at most the limit; grid-stride loops.
// Workgroup: 64 threads; no workgroup memory.
// Appended: uniforms.wgsl; the bindings x_in, w_in and out, of `elem`, and of the bias; load_bias(channel) -> f32;
//   activation(x) -> f32.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var n = id.z; n < uniforms.batch; n += groups.z) {
        for (var channel = id.y; channel < uniforms.groups * uniforms.outputs; channel += groups.y) {
            for (var pixel = id.x; pixel < uniforms.out_height * uniforms.out_width; pixel += groups.x * 64u) {
                compute(n, channel, pixel / uniforms.out_width, pixel % uniforms.out_width);
            }
        }
    }
}

fn compute(n: u32, channel: u32, y: u32, x: u32) {
    let group = channel / uniforms.outputs;
    let output = channel % uniforms.outputs;
    let plane = uniforms.x_offset + n * uniforms.x_batch + group * uniforms.x_group;
    let weights = uniforms.w_offset + group * uniforms.w_group + output * uniforms.w_output;
    var sum = load_bias(channel);
    for (var i = 0u; i < uniforms.kernel_height; i++) {
        // A row or column before the first is a large number, too.
        let row = uniforms.start_y + y * uniforms.stride_y + i * uniforms.dilation_y;
        if (row < uniforms.height) {
            for (var j = 0u; j < uniforms.kernel_width; j++) {
                let column = uniforms.start_x + x * uniforms.stride_x + j * uniforms.dilation_x;
                if (column < uniforms.width) {
                    var from_x = plane + row * uniforms.x_row + column * uniforms.x_column;
                    var from_w = weights + i * uniforms.w_row + j * uniforms.w_column;
                    for (var c = 0u; c < uniforms.channels; c++) {
                        sum = fma(f32(x_in[from_x]), f32(w_in[from_w]), sum);
                        from_x += uniforms.x_channel;
                        from_w += uniforms.w_channel;
                    }
                }
            }
        }
    }
    let at = uniforms.out_offset + n * uniforms.out_batch + group * uniforms.out_group + output * uniforms.out_output
        + y * uniforms.out_row + x * uniforms.out_column;
    out[at] = elem(activation(sum));
}
