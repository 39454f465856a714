// subgroup_size: size[0] = the subgroup size of the first subgroup.
//
// Dispatch: (1, 1, 1).
// Workgroup: 64 threads; no workgroup memory. Needs the feature "subgroup".

@group(0) @binding(0) var<storage, read_write> size: array<u32, 1>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) invocation: u32, @builtin(subgroup_size) lanes: u32) {
    if (invocation == 0u) {
        size[0] = lanes;
    }
}
