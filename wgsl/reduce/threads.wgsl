// threads: out[o, j, q] = reduction of x[o, i, q] over i < n with i mod width = j, by one thread per element of out.
//
// Layout: element i of column q of row o is where wgsl/reduce/uniforms.wgsl says; out is (outer, width, inner), row-major.
//   Loads are coalesced along j where inner is 1, along q where inner is large.
// Dispatch: (x, y, 1) with x * y >= ceil(count / 256) for uniforms.count = outer * width * inner.
// Workgroup: 256 threads; no workgroup memory.
// Appended: what wgsl/reduce/uniforms.wgsl lists.

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let width = uniforms.width;
    let at = id.x + id.y * groups.x * 256u;
    if (at < uniforms.count) {
        let left = at / uniforms.inner;
        let row = row_at(left / width, at % uniforms.inner);
        var mine = identity();
        var i = left % width;
        for (; i + 3u * width < uniforms.n; i += 4u * width) {
            let x = Four(
                element(row, i),
                element(row, i + width),
                element(row, i + 2u * width),
                element(row, i + 3u * width),
            );
            mine = append(mine, of_four(x, i, width));
        }
        for (; i < uniforms.n; i += width) {
            mine = append(mine, one(element(row, i), i));
        }
        store(at, mine);
    }
}
