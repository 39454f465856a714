// unary_strided: out[i] = apply(x[i], word) for i in a box of up to 8 axes, strides of either side free.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. starts: of x, of out. Strides and starts are modulo 2^32.
// Appended: the types elem and result, and fn apply(x: elem, word: u32) -> result.

struct Uniforms {
    count: u32,
    rank: u32,
    word: u32,
    unused: u32,
    starts: vec4<u32>,
    shape: array<vec4<u32>, 2>,
    x_strides: array<vec4<u32>, 2>,
    out_strides: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> values: array<elem>;
@group(0) @binding(1) var<storage, read_write> out: array<result>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        var rest = i;
        var x_at = uniforms.starts.x;
        var out_at = uniforms.starts.y;
        for (var left = uniforms.rank; left > 0u; left--) {
            let axis = (left - 1u) / 4u;
            let lane = (left - 1u) % 4u;
            let size = uniforms.shape[axis][lane];
            let position = rest % size;
            rest /= size;
            x_at += position * uniforms.x_strides[axis][lane];
            out_at += position * uniforms.out_strides[axis][lane];
        }
        out[out_at] = apply(values[x_at], uniforms.word);
    }
}
