// fma: the arithmetic ceiling. Every thread runs 8 independent chains of vec4 fused multiply-adds,
// `steps` long: 8 * 4 * 2 * steps flops a thread, and next to no memory traffic.
// Dispatch (any, 1, 1). Workgroup memory: none.

struct Dims {
    steps: u32,
}

@group(0) @binding(0) var<storage, read> seeds: array<vec4<f32>, 2>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32, 256>;
@group(0) @binding(2) var<uniform> dims: Dims;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    // Read at run time, so that no compiler can do the sum beforehand. |scale| < 1: the chains stay finite.
    let scale = seeds[0];
    let shift = seeds[1] * f32(thread + 1u);
    var x0 = shift;
    var x1 = shift + 1.0;
    var x2 = shift + 2.0;
    var x3 = shift + 3.0;
    var x4 = shift + 4.0;
    var x5 = shift + 5.0;
    var x6 = shift + 6.0;
    var x7 = shift + 7.0;
    for (var i = 0u; i < dims.steps; i++) {
        x0 = fma(x0, scale, shift);
        x1 = fma(x1, scale, shift);
        x2 = fma(x2, scale, shift);
        x3 = fma(x3, scale, shift);
        x4 = fma(x4, scale, shift);
        x5 = fma(x5, scale, shift);
        x6 = fma(x6, scale, shift);
        x7 = fma(x7, scale, shift);
    }
    let x = ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7));
    let sum = (x.x + x.y) + (x.z + x.w);
    // Never true for the seeds we pass, and the compiler cannot know: it must do the work.
    if (sum == 12345.678) {
        sums[thread] = sum;
    }
}
