// basic_weights: the gradient of a correlation's weights, one thread per element and part of the pixels.
//
//   dw[part,g,o,c,i,j] = sum over the rows (n,y) of a part, and x, of dout[n,g,o,y,x] * x[n,g,c, tap (i,j) of (y,x)]
//
// Layout: uniforms.wgsl, where w is dw and out is dout; any strides. Part p has the rows of dout from p * rows_per_part.
// Dispatch: (ceil(channels * taps / 64), groups * outputs, parts), the first two at most the limit; grid-stride loops.
// Workgroup: 64 threads; no workgroup memory.
// Appended: uniforms.wgsl; the bindings x_in and dout_in, of `elem`, and dw_out, of `sum_elem`.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let elements = uniforms.channels * uniforms.kernel_height * uniforms.kernel_width;
    for (var channel = id.y; channel < uniforms.groups * uniforms.outputs; channel += groups.y) {
        for (var element = id.x; element < elements; element += groups.x * 64u) {
            compute(uniforms.first_part + id.z, channel, element);
        }
    }
}

fn compute(part: u32, channel: u32, element: u32) {
    let group = channel / uniforms.outputs;
    let output = channel % uniforms.outputs;
    let taps = uniforms.kernel_height * uniforms.kernel_width;
    let c = element / taps;
    let i = element % taps / uniforms.kernel_width;
    let j = element % uniforms.kernel_width;

    // The pixels of a row whose tap is inside of the input
    let start = uniforms.start_x + j * uniforms.dilation_x;
    let before = bitcast<i32>(start) < 0;
    let first = select(0u, (uniforms.stride_x - 1u - start) / uniforms.stride_x, before);
    let inside = before || start < uniforms.width;
    let end = select(0u, min(uniforms.out_width, (uniforms.width - 1u - start) / uniforms.stride_x + 1u), inside);

    let x_plane = uniforms.x_offset + group * uniforms.x_group + c * uniforms.x_channel;
    let dout_plane = uniforms.out_offset + group * uniforms.out_group + output * uniforms.out_output;
    let last_row = min((part + 1u) * uniforms.rows_per_part, uniforms.batch * uniforms.out_height);
    var sum = 0.0;
    for (var at = part * uniforms.rows_per_part; at < last_row; at++) {
        let n = at / uniforms.out_height;
        let y = at % uniforms.out_height;
        let row = uniforms.start_y + y * uniforms.stride_y + i * uniforms.dilation_y;
        if (row < uniforms.height) {
            var from_x = x_plane + n * uniforms.x_batch + row * uniforms.x_row
                + (start + first * uniforms.stride_x) * uniforms.x_column;
            var from_dout = dout_plane + n * uniforms.out_batch + y * uniforms.out_row + first * uniforms.out_column;
            for (var x = first; x < end; x++) {
                sum = fma(f32(x_in[from_x]), f32(dout_in[from_dout]), sum);
                from_x += uniforms.stride_x * uniforms.x_column;
                from_dout += uniforms.out_column;
            }
        }
    }
    let at = uniforms.w_offset + part * uniforms.w_part + group * uniforms.w_group + output * uniforms.w_output
        + c * uniforms.w_channel + i * uniforms.w_row + j * uniforms.w_column;
    dw_out[at] = sum_elem(sum);
}
