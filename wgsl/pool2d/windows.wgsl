// windows: what pooling computes of each window, one thread per window: any parameters and strides.
//
// Layout: uniforms.wgsl; out has an element for each window.
// Dispatch: (min(ceil(windows / 256), max groups), 1, 1); grid-stride loop.
// Workgroup: 256 threads; no workgroup memory.
// Loop iterations of a thread: for each of its windows kernel_y * (kernel_x + 1).
// Appended: uniforms.wgsl; the bindings x_in and out, and v_in where it is read; CHANNELS_LAST; State, what is known of a
//   window, zeros at first; visit(state, at, y, x, tap) -> State, where x_in[at] is the tap of the number `tap`, which lies at
//   (y, x); and store(i, state, plane: Plane, y, x), for the window (y, x).

struct Plane {
    n: u32,
    c: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let windows = uniforms.out_height * uniforms.out_width;
    let count = uniforms.batch * uniforms.channels * windows;
    for (var i = id.x; i < count; i += groups.x * 256u) {
        var rest = i;
        var c = 0u;
        if (CHANNELS_LAST) {
            c = rest % uniforms.channels;
            rest /= uniforms.channels;
        }
        let x = rest % uniforms.out_width;
        rest /= uniforms.out_width;
        let y = rest % uniforms.out_height;
        rest /= uniforms.out_height;
        if (!CHANNELS_LAST) {
            c = rest % uniforms.channels;
            rest /= uniforms.channels;
        }
        pool(i, Plane(rest, c), y, x);
    }
}

fn pool(i: u32, plane: Plane, y: u32, x: u32) {
    let start = uniforms.x_offset + plane.n * uniforms.x_batch + plane.c * uniforms.x_channel;
    var state = State();
    for (var ky = 0u; ky < uniforms.kernel_y; ky++) {
        // A row or column before the first is a large number, too.
        let row = y * uniforms.stride_y - uniforms.padding_y + ky * uniforms.dilation_y;
        if (row < uniforms.height) {
            for (var kx = 0u; kx < uniforms.kernel_x; kx++) {
                let column = x * uniforms.stride_x - uniforms.padding_x + kx * uniforms.dilation_x;
                if (column < uniforms.width) {
                    let at = start + row * uniforms.x_row + column * uniforms.x_column;
                    state = visit(state, at, row, column, ky * uniforms.kernel_x + kx);
                }
            }
        }
    }
    store(i, state, plane, y, x);
}
