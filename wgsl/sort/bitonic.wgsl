// bitonic: sorts each block of ELEMENTS elements of each row in workgroup memory, and writes its first `keep` elements. Equal
//   keys are ordered by their indices, so the order is total, and the sort stable (Batcher 1968).
//
// Layout: x is (rows, n), row-major, from x_at on; out is (rows, blocks, keep).
// Dispatch: (min(rows * blocks, max groups), 1, 1); each workgroup strides over the blocks.
// Workgroup: THREADS threads; each compares ELEMENTS / 2 / THREADS pairs in each of log2(ELEMENTS)^2 / 2 steps, which end
//   with a barrier. Beyond the end of a row, key and index are the largest there are.
// Workgroup memory: ELEMENTS keys and as many indices, 4 bytes each.
// Appended: THREADS, ELEMENTS (powers of two); the bindings; key_at(i) -> u32, the key of an element of x, which orders as
//   the elements do (ascending); index_at(i, place) -> u32, its index, by default its place in the row; put(at, key, index),
//   which writes an element of the result.

struct Uniforms {
    tasks: u32,
    n: u32,
    blocks: u32,
    keep: u32,
    x_at: u32,
    flip: u32,
}

var<workgroup> keys: array<u32, ELEMENTS>;
var<workgroup> indices: array<u32, ELEMENTS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let start = task % uniforms.blocks * ELEMENTS;
        let first = uniforms.x_at + task / uniforms.blocks * uniforms.n;
        for (var e = t; e < ELEMENTS; e += THREADS) {
            var key = 0xffffffffu;
            var index = 0xffffffffu;
            if (start + e < uniforms.n) {
                key = key_at(first + start + e);
                index = index_at(first + start + e, start + e);
            }
            keys[e] = key;
            indices[e] = index;
        }
        workgroupBarrier();
        for (var size = 2u; size <= ELEMENTS; size <<= 1u) {
            for (var stride = size >> 1u; stride > 0u; stride >>= 1u) {
                for (var pair = t; pair < ELEMENTS / 2u; pair += THREADS) {
                    let a = 2u * pair - (pair & (stride - 1u));
                    let b = a + stride;
                    let is_descending = (a & size) != 0u;
                    let a_key = keys[a];
                    let b_key = keys[b];
                    let a_index = indices[a];
                    let b_index = indices[b];
                    let is_after = a_key > b_key || (a_key == b_key && a_index > b_index);
                    if (is_after != is_descending) {
                        keys[a] = b_key;
                        keys[b] = a_key;
                        indices[a] = b_index;
                        indices[b] = a_index;
                    }
                }
                workgroupBarrier();
            }
        }
        for (var e = t; e < uniforms.keep; e += THREADS) {
            put(task * uniforms.keep + e, keys[e], indices[e]);
        }
        workgroupBarrier();  // The memory is reused for the next block.
    }
}
