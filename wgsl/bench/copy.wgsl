// copy: copied[i] = source[(i + pass * shift) mod count]. Measures the memory bandwidth, the roofline of other kernels.
//
// Layout: `count` vec4s. `passes` passes over them run in one dispatch, so that small working sets measure the caches
//   and not the dispatch. Each pass reads `shift` elements further, so that no thread reads the same element twice in a
//   row; it writes the same elements, because writing those of another thread would be a race.
// Dispatch: any (x, 1, 1); grid-stride loop, uniforms.stride is the number of threads.
// Workgroup: 256 threads; no workgroup memory.
// Bytes moved: passes * count * 32.

struct Uniforms {
    count: u32,
    passes: u32,
    stride: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var start = 0u;
    for (var pass_index = 0u; pass_index < uniforms.passes; pass_index++) {
        for (var i = id.x; i < uniforms.count; i += uniforms.stride) {
            // (start + i) % count: both are below count, so one subtraction is enough.
            var at = start + i;
            if (at >= uniforms.count) {
                at -= uniforms.count;
            }
            copied[i] = source[at];
        }
        start += uniforms.shift;
        if (start >= uniforms.count) {
            start -= uniforms.count;
        }
    }
}
