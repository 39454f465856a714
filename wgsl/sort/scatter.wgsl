// scatter: one pass of a radix sort: moves the keys of each row to where their digits, of 8 bits from `shift` on, belong.
//   Keys of equal digits keep their order.
//
// Layout: x is (rows, n), row-major, from x_at on; ends is (rows, 256, blocks), the inclusive scan of the counts of
//   histogram.wgsl along each row; the result is (rows, n).
// Dispatch: (min(rows * blocks, max groups), 1, 1); each workgroup strides over the blocks.
// Workgroup: 256 threads sort a block of BLOCK = 256 * KEYS keys by the digit, two bits in each of four turns: a thread
//   counts the digits of KEYS consecutive keys, prefixes() says how many come before them, and the keys change places in
//   workgroup memory. Then equal digits are neighbours, and runs of neighbours go to consecutive places of the result.
// Workgroup memory: BLOCK keys, and as many indices with INDEXED, 2 KiB for digits, and that of prefixes().
// Appended: KEYS, INDEXED, INDICES (BLOCK with INDEXED, else 1); the bindings; key_at(i) -> u32, the key of an element of x; index_at(i, place) -> u32, its index,
//   by default its place in the row; put(at, key, index), which writes an element of the result; total = vec2<u32>, with
//   counts of 16 bits of the four values of two bits; identity() and combine(a, b); THREADS = 256, VECS = 1;
//   prefixes(values, t), one of scan/prefixes_subgroup.wgsl and scan/prefixes_workgroup.wgsl.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

struct Uniforms {
    tasks: u32,
    n: u32,
    blocks: u32,
    x_at: u32,
    flip: u32,
    shift: u32,
}

const BLOCK: u32 = 256u * KEYS;

var<workgroup> keys: array<u32, BLOCK>;
var<workgroup> indices: array<u32, INDICES>;
var<workgroup> digit_starts: array<u32, 256>;
var<workgroup> digit_places: array<u32, 256>;

// Four counts of 16 bits, in the order of the values of two bits.
fn counts_of(digit: u32) -> vec2<u32> {
    let one = 1u << (16u * (digit & 1u));
    return select(vec2(one, 0u), vec2(0u, one), digit > 1u);
}

fn count_in(counts: vec2<u32>, digit: u32) -> u32 {
    return (select(counts.x, counts.y, digit > 1u) >> (16u * (digit & 1u))) & 0xffffu;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let row = task / uniforms.blocks;
        let block = task % uniforms.blocks;
        let start = block * BLOCK;
        let count = min(BLOCK, uniforms.n - start);
        let first = uniforms.x_at + row * uniforms.n + start;

        // Load the block; beyond the end of a row the largest key, which stays last
        for (var i = 0u; i < KEYS; i++) { // unroll
            let e = i * 256u + t;
            var key = 0xffffffffu;
            if (e < count) {
                key = key_at(first + e);
            }
            keys[e] = key;
            if (INDEXED) {
                var index = 0u;
                if (e < count) {
                    index = index_at(first + e, start + e);
                }
                indices[e] = index;
            }
        }

        // Where each digit of this block goes
        let digit_at = (row * 256u + t) * uniforms.blocks + block;
        var place = 0u;
        if (digit_at > row * 256u * uniforms.blocks) {
            place = ends[digit_at - 1u];
        }
        digit_places[t] = place;
        workgroupBarrier();

        // Sort the block by the digit
        for (var turn = 0u; turn < 4u; turn++) {
            let shift = uniforms.shift + 2u * turn;
            var own_keys = array<u32, KEYS>();
            var own_indices = array<u32, KEYS>();
            var own_counts = vec2(0u, 0u);
            for (var i = 0u; i < KEYS; i++) { // unroll
                own_keys[i] = keys[KEYS * t + i];
                if (INDEXED) {
                    own_indices[i] = indices[KEYS * t + i];
                }
                own_counts += counts_of((own_keys[i] >> shift) & 3u);
            }
            let found = prefixes(array<total, VECS>(own_counts), t);
            let in_all = found.all;
            let zeros = in_all.x & 0xffffu;
            let ones = in_all.x >> 16u;
            let twos = in_all.y & 0xffffu;
            let starts = vec2(zeros << 16u, (zeros + ones) | ((zeros + ones + twos) << 16u));
            var next = found.before[0] + starts;
            for (var i = 0u; i < KEYS; i++) { // unroll
                let digit = (own_keys[i] >> shift) & 3u;
                let e = count_in(next, digit);
                keys[e] = own_keys[i];
                if (INDEXED) {
                    indices[e] = own_indices[i];
                }
                next += counts_of(digit);
            }
            workgroupBarrier();
        }

        // Find the runs of equal digits, then write
        for (var i = 0u; i < KEYS; i++) { // unroll
            let e = i * 256u + t;
            let digit = (keys[e] >> uniforms.shift) & 255u;
            var is_first = e == 0u;
            if (e > 0u) {
                is_first = ((keys[e - 1u] >> uniforms.shift) & 255u) != digit;
            }
            if (is_first) {
                digit_starts[digit] = e;
            }
        }
        workgroupBarrier();
        for (var i = 0u; i < KEYS; i++) { // unroll
            let e = i * 256u + t;
            if (e < count) {
                let key = keys[e];
                let digit = (key >> uniforms.shift) & 255u;
                var index = 0u;
                if (INDEXED) {
                    index = indices[e];
                }
                put(row * uniforms.n + digit_places[digit] + e - digit_starts[digit], key, index);
            }
        }
        workgroupBarrier();  // The memory is reused for the next block.
    }
}
