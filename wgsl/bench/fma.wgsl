// fma: chains of fused multiply-adds. Measures the peak arithmetic throughput, the roofline of other kernels.
//
// Dispatch: any (x, 1, 1).
// Workgroup: 256 threads; no workgroup memory, next to no memory traffic.
// Thread: 8 independent chains of vec4 FMAs, 4 FMAs per step and chain, so that the loop overhead is small:
//   8 * 4 * 4 * 2 * steps flops.

struct Uniforms {
    steps: u32,
}

@group(0) @binding(0) var<storage, read> seeds: array<vec2<f32>, 1>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32, 256>;
@group(0) @binding(2) var<uniform> uniforms: Uniforms;

fn chain(x: vec4<f32>, scale: f32, shift: f32) -> vec4<f32> {
    let a = vec4(scale);
    let b = vec4(shift);
    return fma(fma(fma(fma(x, a, b), a, b), a, b), a, b);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) invocation: u32) {
    // Read at run time, so that the compiler cannot fold the chains. |scale| < 1: the chains stay finite.
    let scale = seeds[0].x;
    // Differs between threads, so that it is kept in a vector register, not in a scalar one.
    let shift = seeds[0].y * f32(invocation + 1u);
    var x0 = vec4(shift);
    var x1 = x0 + 1.0;
    var x2 = x0 + 2.0;
    var x3 = x0 + 3.0;
    var x4 = x0 + 4.0;
    var x5 = x0 + 5.0;
    var x6 = x0 + 6.0;
    var x7 = x0 + 7.0;
    for (var i = 0u; i < uniforms.steps; i++) {
        x0 = chain(x0, scale, shift);
        x1 = chain(x1, scale, shift);
        x2 = chain(x2, scale, shift);
        x3 = chain(x3, scale, shift);
        x4 = chain(x4, scale, shift);
        x5 = chain(x5, scale, shift);
        x6 = chain(x6, scale, shift);
        x7 = chain(x7, scale, shift);
    }
    let x = ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7));
    let sum = (x.x + x.y) + (x.z + x.w);
    // Never true for the seeds in use, but the compiler cannot know: it must not eliminate the chains.
    if (sum == 12345.678) {
        sums[invocation] = sum;
    }
}
