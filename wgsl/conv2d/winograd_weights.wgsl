// winograd_weights: U = G g G^T for the weights g of each channel and output.
//
// Layout: element (tap, channel, output) of u is at (tap * channels + channel) * u_outputs + output, where the taps are
// those of the transformed weights. w has any strides. Outputs beyond the last are not written.
// Dispatch: (ceil(outputs / 32), ceil(channels / 4)), each at most the limit; grid-stride loops. A thread per channel
//   and output, neighbouring threads along the outputs.
// Workgroup: 32 x 4 threads; no workgroup memory.
// Appended: elem; transform(source, destination), which calls load and store (winograd/forms.py).

struct Uniforms {
    outputs: u32,
    channels: u32,
    w_offset: u32,
    w_output: u32,
    w_channel: u32,
    w_row: u32,
    w_column: u32,
    u_outputs: u32,
}

@group(0) @binding(0) var<storage, read> w: array<elem>;
@group(0) @binding(1) var<storage, read_write> u: array<f32>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

// The first of the weights, and of the transformed ones.
alias Source = u32;
alias Destination = u32;

@compute @workgroup_size(32, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var output = id.x; output < uniforms.outputs; output += groups.x * 32u) {
        for (var channel = id.y; channel < uniforms.channels; channel += groups.y * 4u) {
            let source = uniforms.w_offset + output * uniforms.w_output + channel * uniforms.w_channel;
            transform(source, channel * uniforms.u_outputs + output);
        }
    }
}

fn load(source: Source, i: u32, j: u32) -> f32 {
    return f32(w[source + i * uniforms.w_row + j * uniforms.w_column]);
}

fn store(destination: Destination, number: u32, value: f32) {
    u[destination + number * uniforms.channels * uniforms.u_outputs] = value;
}
