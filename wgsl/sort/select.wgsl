// select: sorts the first `keep` elements of each block of `span` elements of each row, in order, and writes them. Equal keys
//   are ordered by their indices, so the order is total, and the result does not depend on how threads are scheduled.
//
// Elements e of a block with equal e % LISTS form a list; the head of a list is its first element in order.
//
//     1. Sort the heads. The head at place keep - 1 is the limit: at least `keep` elements are not after it.
//     2. Collect the elements that are not after the limit. Sort them, and write the first `keep`.
//
//   An element before the limit is in a list whose head is before the limit, and there are keep - 1 such lists. So at most
//   (keep - 1) * ceil(span / LISTS) + 1 elements are collected; if they are in random order, few more than `keep`.
//
// Layout: x is (rows, n), row-major, from x_at on; out is (rows, blocks, keep). Beyond the end of a row, key and index are the
//   largest there are. Of equal keys in a row of x, the indices ascend.
// Dispatch: (min(rows * blocks, max groups), 1, 1); each workgroup strides over the blocks.
// Workgroup: THREADS threads, each with LISTS / THREADS lists. They read the block twice, LOADS independent loads at a time.
// Workgroup memory: ELEMENTS keys and as many indices, 4 bytes each, and two counts.
// Appended: THREADS, LISTS, ELEMENTS (powers of two; LISTS and the number of collected elements are at most ELEMENTS); the
//   bindings; key_at, index_at and put as for bitonic.wgsl.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

struct Uniforms {
    tasks: u32,
    n: u32,
    blocks: u32,
    keep: u32,
    x_at: u32,
    flip: u32,
    span: u32,
}

const LOADS: u32 = 8u;
const LAST: u32 = 0xffffffffu;

var<workgroup> keys: array<u32, ELEMENTS>;
var<workgroup> indices: array<u32, ELEMENTS>;
var<workgroup> collected: atomic<u32>;
var<workgroup> collected_by_all: u32;

// The head of a list of the elements first to first + count - 1; `start` is the place of the first one in its row.
fn store_head(list: u32, first: u32, start: u32, count: u32) {
    var key = LAST;
    var place = LAST;
    for (var e = list; e < count; e += LOADS * LISTS) {
        var found = array<u32, LOADS>();
        for (var v = 0u; v < LOADS; v++) { // unroll
            found[v] = key_at(first + min(e + v * LISTS, count - 1u));
        }
        for (var v = 0u; v < LOADS; v++) { // unroll
            // The first of equal keys stays.
            if (e + v * LISTS < count && (found[v] < key || place == LAST)) {
                key = found[v];
                place = e + v * LISTS;
            }
        }
    }
    keys[list] = key;
    indices[list] = LAST;
    if (place != LAST) {
        indices[list] = index_at(first + place, start + place);
    }
}

// Collects the elements of a list that are not after the limit.
fn collect(list: u32, first: u32, start: u32, count: u32, limit_key: u32, limit_index: u32) {
    for (var e = list; e < count; e += LOADS * LISTS) {
        var found = array<u32, LOADS>();
        for (var v = 0u; v < LOADS; v++) { // unroll
            found[v] = key_at(first + min(e + v * LISTS, count - 1u));
        }
        for (var v = 0u; v < LOADS; v++) { // unroll
            let place = e + v * LISTS;
            if (place < count && found[v] <= limit_key) {
                let index = index_at(first + place, start + place);
                if (index != LAST && (found[v] < limit_key || index <= limit_index)) {
                    let slot = min(atomicAdd(&collected, 1u), ELEMENTS - 1u);
                    keys[slot] = found[v];
                    indices[slot] = index;
                }
            }
        }
    }
}

// Sorts the first `count` keys and indices, a power of two (Batcher 1968).
fn sort(count: u32, t: u32) {
    for (var size = 2u; size <= count; size <<= 1u) {
        for (var stride = size >> 1u; stride > 0u; stride >>= 1u) {
            for (var pair = t; pair < count / 2u; pair += THREADS) {
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
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let start = task % uniforms.blocks * uniforms.span;
        let first = uniforms.x_at + task / uniforms.blocks * uniforms.n + start;
        let count = min(uniforms.n - start, uniforms.span);
        for (var list = t; list < LISTS; list += THREADS) {
            store_head(list, first, start, count);
        }
        workgroupBarrier();
        sort(LISTS, t);
        let limit_key = keys[uniforms.keep - 1u];
        let limit_index = indices[uniforms.keep - 1u];
        if (t == 0u) {
            atomicStore(&collected, 0u);
        }
        workgroupBarrier();
        for (var list = t; list < LISTS; list += THREADS) {
            collect(list, first, start, count, limit_key, limit_index);
        }
        workgroupBarrier();
        if (t == 0u) {
            collected_by_all = atomicLoad(&collected);
        }
        let wanted = max(workgroupUniformLoad(&collected_by_all), uniforms.keep);
        // The next power of two, of which the rest is filled.
        let size = min(ELEMENTS, 1u << (32u - countLeadingZeros(wanted - 1u)));
        for (var e = collected_by_all + t; e < size; e += THREADS) {
            keys[e] = LAST;
            indices[e] = LAST;
        }
        workgroupBarrier();
        sort(size, t);
        for (var e = t; e < uniforms.keep; e += THREADS) {
            put(task * uniforms.keep + e, keys[e], indices[e]);
        }
        workgroupBarrier();  // The memory is reused for the next block.
    }
}
