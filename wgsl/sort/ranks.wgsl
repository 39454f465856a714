// ranks: sorts short rows. The place of an element in the result is the number of those that come before it: of the smaller
//   ones, and of equal ones that lie before it. Results beyond the first `keep` of a row are left out.
//
// Layout: x is (rows, n), row-major, from x_at on; out is (rows, keep).
// Dispatch: (min(ceil(rows * n / 256), max groups), 1, 1); grid-stride loop, one element a thread, of n steps.
// Workgroup: 256 threads; no workgroup memory.
// Appended: the bindings; key_at(i) -> u32, the key of an element of x, which orders as the elements do (ascending);
//   put(at, key, index), which writes an element of the result.

struct Uniforms {
    tasks: u32,
    n: u32,
    keep: u32,
    x_at: u32,
    flip: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var task = id.x; task < uniforms.tasks; task += groups.x * 256u) {
        let row = task / uniforms.n;
        let i = task % uniforms.n;
        let first = uniforms.x_at + row * uniforms.n;
        let key = key_at(first + i);
        var rank = 0u;
        for (var j = 0u; j < uniforms.n; j++) {
            let other = key_at(first + j);
            rank += select(0u, 1u, other < key || (other == key && j < i));
        }
        if (rank < uniforms.keep) {
            put(row * uniforms.keep + rank, key, i);
        }
    }
}
