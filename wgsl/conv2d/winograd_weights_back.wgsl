// winograd_weights_back: dw = A^T u A for the sums of products u of each channel and output: the gradient of the weights.
//
// Layout: as in winograd_weights.wgsl, with dw for w. An infinity or a NaN in u makes all weights of the pair NaN.
// Dispatch: (ceil(outputs / 32), ceil(channels / 4)), each at most the limit; grid-stride loops. A thread per channel
//   and output, neighbouring threads along the outputs.
// Workgroup: 32 x 4 threads; no workgroup memory.
// Appended: elem; TAPS, SIZE; transform(source, destination), which calls load and store_row (winograd/forms.py).

struct Uniforms {
    outputs: u32,
    channels: u32,
    dw_offset: u32,
    dw_output: u32,
    dw_channel: u32,
    dw_row: u32,
    dw_column: u32,
    u_outputs: u32,
}

@group(0) @binding(0) var<storage, read> u: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<elem>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

// The first of the sums, and of the weights.
alias Source = u32;
alias Destination = u32;

@compute @workgroup_size(32, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var output = id.x; output < uniforms.outputs; output += groups.x * 32u) {
        for (var channel = id.y; channel < uniforms.channels; channel += groups.y * 4u) {
            let destination = uniforms.dw_offset + output * uniforms.dw_output + channel * uniforms.dw_channel;
            transform(channel * uniforms.u_outputs + output, destination);
        }
    }
}

fn load(source: Source, i: u32, j: u32) -> f32 {
    return u[source + (i * SIZE + j) * uniforms.channels * uniforms.u_outputs];
}

fn store_row(destination: Destination, i: u32, values: vec3<f32>) {
    for (var j = 0u; j < TAPS; j++) { // unroll
        dw[destination + i * uniforms.dw_row + j * uniforms.dw_column] = elem(values[j]);
    }
}
