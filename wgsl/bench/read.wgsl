// read: the read bandwidth ceiling. sums[w] = what workgroup w reads of `source`, added up, `passes` times over
// `count` vec4 elements inside one launch, so that a small working set shows the caches and not the launch.
// Every pass reads `shift` further on, modulo count, so that no thread reads the same element twice in a row.
// Four independent loads are in flight per thread. The sum is stored, so no load can be optimised away.
// Dispatch (any, 1, 1). Workgroup memory: 1 KiB. Bytes read: passes * count * 16.

struct Uniforms {
    count: u32,
    passes: u32,
    stride: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

var<workgroup> partial: array<f32, 256>;

// Both arguments are less than count: one subtraction is the remainder.
fn element(start: u32, i: u32) -> vec4<f32> {
    let at = start + i;
    return source[at - select(0u, uniforms.count, at >= uniforms.count)];
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(workgroup_id) workgroup: vec3<u32>,
) {
    var sum0 = vec4(0.0);
    var sum1 = vec4(0.0);
    var sum2 = vec4(0.0);
    var sum3 = vec4(0.0);
    var start = 0u;
    let stride = uniforms.stride;
    let by_fours = uniforms.count - min(uniforms.count, 3u * stride);
    for (var pass_index = 0u; pass_index < uniforms.passes; pass_index++) {
        var i = id.x;
        for (; i < by_fours; i += 4u * stride) {
            sum0 += element(start, i);
            sum1 += element(start, i + stride);
            sum2 += element(start, i + 2u * stride);
            sum3 += element(start, i + 3u * stride);
        }
        for (; i < uniforms.count; i += stride) {
            sum0 += element(start, i);
        }
        start += uniforms.shift;
        if (start >= uniforms.count) {
            start -= uniforms.count;
        }
    }

    // Pairwise tree over the workgroup.
    let sum = (sum0 + sum1) + (sum2 + sum3);
    partial[invocation] = (sum.x + sum.y) + (sum.z + sum.w);
    for (var width = 128u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if (invocation < width) {
            partial[invocation] += partial[invocation + width];
        }
    }
    if (invocation == 0u) {
        sums[workgroup.x] = partial[0];
    }
}
