// search: out[i] = how many elements of the sorted x come before the query y[i]: the smaller ones, and with `right` the equal
//   ones, too. A binary search by one thread per query.
//
// Layout: x has n elements, x_stride apart, from x_at on; with a sorter, its order is that of the indices in it, from
//   sorter_at on, and one out of range stands for the last element. y and out are contiguous, y from y_at on.
// Dispatch: (min(ceil(count / 256), max groups), 1, 1); grid-stride loop, up to 32 steps a query.
// Workgroup: 256 threads; no workgroup memory.
// Appended: the bindings; key_at(i) -> u32 and query_at(i) -> u32, keys that order as the elements of x and y do;
//   sorted_at(i) -> u32, element i of the sorter, or i.

struct Uniforms {
    count: u32,
    n: u32,
    x_at: u32,
    x_stride: u32,
    y_at: u32,
    sorter_at: u32,
    right: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < uniforms.count; i += groups.x * 256u) {
        let query = query_at(uniforms.y_at + i);
        var low = 0u;
        var high = uniforms.n;
        while (low < high) {
            let middle = low + (high - low) / 2u;
            let place = min(sorted_at(middle), uniforms.n - 1u);
            let key = key_at(uniforms.x_at + place * uniforms.x_stride);
            if (key < query || (key == query && uniforms.right == 1u)) {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
        out[i] = low;
    }
}
