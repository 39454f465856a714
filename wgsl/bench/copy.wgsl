// copy: the bandwidth ceiling. copied[i] = source[i], `passes` times over `count` vec4 elements
// inside one launch, so that a small working set shows the caches and not the launch.
// Every pass reads `shift` further on, modulo count, so that no thread reads the same element twice in a row.
// It writes the same ones: another thread's would be a race.
// Dispatch (any, 1, 1). Workgroup memory: none. Bytes moved: passes * count * 32.

struct Dims {
    count: u32,
    passes: u32,
    stride: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> dims: Dims;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var start = 0u;
    for (var pass_index = 0u; pass_index < dims.passes; pass_index++) {
        for (var i = id.x; i < dims.count; i += dims.stride) {
            // start < count and i < count: one subtraction is the remainder.
            var at = start + i;
            if (at >= dims.count) {
                at -= dims.count;
            }
            copied[i] = source[at];
        }
        start += dims.shift;
        if (start >= dims.count) {
            start -= dims.count;
        }
    }
}
