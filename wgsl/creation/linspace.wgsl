// linspace: out[i] = start + i * step in the first half, stop - (count - 1 - i) * step in the second: exact at both ends.
//
// Layout: contiguous; start, stop and step are the bits of f32.
// Dispatch: (x, y, 1) with x * y >= ceil(count / 256); a thread computes one element.
// Workgroup: 256 threads; no workgroup memory.
// Appended: elem, the element type.

struct Uniforms {
    count: u32,
    start: f32,
    stop: f32,
    step: f32,
    from_stop: u32,  // The first element that is computed from the end.
}

@group(0) @binding(0) var<storage, read_write> out: array<elem>;
@group(0) @binding(1) var<uniform> uniforms: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 256u;
    if (i < uniforms.count) {
        let forwards = fma(f32(i), uniforms.step, uniforms.start);
        let backwards = fma(-f32(uniforms.count - 1u - i), uniforms.step, uniforms.stop);
        out[i] = elem(select(forwards, backwards, i >= uniforms.from_stop));
    }
}
