// binary_strided: out[i] = apply(a[i], b[i]) for i in a box of up to 8 axes; out is row-major.
// Dispatch (min(ceil(count / 256), most groups), 1, 1): a thread goes on by as many elements as there are
// threads. Workgroup memory: none. starts: of a, of b. Strides and starts are modulo 2^32.
// Appended: the types elem and result, and fn apply(x: elem, y: elem) -> result.

struct Uniforms {
    count: u32,
    rank: u32,
    word: u32,
    unused: u32,
    starts: vec4<u32>,
    shape: array<vec4<u32>, 2>,
    a_strides: array<vec4<u32>, 2>,
    b_strides: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<storage, read> a: array<elem>;
@group(0) @binding(1) var<storage, read> b: array<elem>;
@group(0) @binding(2) var<storage, read_write> out: array<result>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        var rest = i;
        var a_at = uniforms.starts.x;
        var b_at = uniforms.starts.y;
        for (var left = uniforms.rank; left > 0u; left--) {
            let axis = (left - 1u) / 4u;
            let lane = (left - 1u) % 4u;
            let size = uniforms.shape[axis][lane];
            let position = rest % size;
            rest /= size;
            a_at += position * uniforms.a_strides[axis][lane];
            b_at += position * uniforms.b_strides[axis][lane];
        }
        out[i] = apply(a[a_at], b[b_at]);
    }
}
