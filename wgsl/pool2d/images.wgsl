// images: the gradient of pooling, one thread per element of the images, which asks its windows: any parameters and strides.
//
//   out[n,c,y,x] = sum over the windows (p,q) that have (y,x) as a tap, of share(g[n,c,p,q], tap)
//
// Layout: uniforms.wgsl; out has the images' shape.
// Dispatch: (min(ceil(elements / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory. The order of the terms is always the same.
// Loop iterations of a thread: for each of its elements kernel_y * (kernel_x + 1).
// Appended: uniforms.wgsl; the bindings g_in and out, and codes where it is read; CHANNELS_LAST; share(g, window, tap, y, x)
//   -> f32, where the window (y, x) is the element `window` of arrays that are contiguous, and `tap` the number of the tap.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = uniforms.batch * uniforms.channels * uniforms.height * uniforms.width;
    for (var i = id.x; i < count; i += groups.x * 256u) {
        var rest = i;
        var c = 0u;
        if (CHANNELS_LAST) {
            c = rest % uniforms.channels;
            rest /= uniforms.channels;
        }
        let x = rest % uniforms.width;
        rest /= uniforms.width;
        let y = rest % uniforms.height;
        rest /= uniforms.height;
        if (!CHANNELS_LAST) {
            c = rest % uniforms.channels;
            rest /= uniforms.channels;
        }
        out[i] = elem(gathered(rest, c, y, x));
    }
}

fn gathered(n: u32, c: u32, y: u32, x: u32) -> f32 {
    let start = uniforms.g_offset + n * uniforms.g_batch + c * uniforms.g_channel;
    var sum = 0.0;
    for (var ky = 0u; ky < uniforms.kernel_y; ky++) {
        // Before the first window, these are large numbers.
        let from_y = y + uniforms.padding_y - ky * uniforms.dilation_y;
        let row = from_y / uniforms.stride_y;
        if (from_y == row * uniforms.stride_y && row < uniforms.out_height) {
            for (var kx = 0u; kx < uniforms.kernel_x; kx++) {
                let from_x = x + uniforms.padding_x - kx * uniforms.dilation_x;
                let column = from_x / uniforms.stride_x;
                if (from_x == column * uniforms.stride_x && column < uniforms.out_width) {
                    let g = f32(g_in[start + row * uniforms.g_row + column * uniforms.g_column]);
                    let window = window_at(n, c, row, column);
                    sum += share(g, window, ky * uniforms.kernel_x + kx, row, column);
                }
            }
        }
    }
    return sum;
}

fn window_at(n: u32, c: u32, y: u32, x: u32) -> u32 {
    if (CHANNELS_LAST) {
        return ((n * uniforms.out_height + y) * uniforms.out_width + x) * uniforms.channels + c;
    }
    return ((n * uniforms.channels + c) * uniforms.out_height + y) * uniforms.out_width + x;
}
