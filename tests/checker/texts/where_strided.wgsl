// where_strided: out[i] = condition[i] != 0 ? x[i] : y[i] for i in a box of up to 8 axes; out is row-major.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. starts: of condition, x, y. Strides and starts are modulo 2^32.
// Appended: the type elem.

struct Uniforms {
    count: u32,
    rank: u32,
    word: u32,
    unused: u32,
    starts: vec4<u32>,
    shape: array<vec4<u32>, 2>,
    condition_strides: array<vec4<u32>, 2>,
    x_strides: array<vec4<u32>, 2>,
    y_strides: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> condition: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<elem>;
@group(0) @binding(2) var<storage, read> y: array<elem>;
@group(0) @binding(3) var<storage, read_write> out: array<elem>;
@group(0) @binding(4) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        var rest = i;
        var at = uniforms.starts.xyz;
        for (var left = uniforms.rank; left > 0u; left--) {
            let axis = (left - 1u) / 4u;
            let lane = (left - 1u) % 4u;
            let size = uniforms.shape[axis][lane];
            let position = rest % size;
            rest /= size;
            at.x += position * uniforms.condition_strides[axis][lane];
            at.y += position * uniforms.x_strides[axis][lane];
            at.z += position * uniforms.y_strides[axis][lane];
        }
        if (condition[at.x] != 0u) {
            out[i] = x[at.y];
        } else {
            out[i] = y[at.z];
        }
    }
}
