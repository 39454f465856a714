// rows: out[r, i] = combination of x[r, 0] to x[r, i]; with REVERSE, of x[r, i] to x[r, n - 1]. A workgroup scans a chunk of
//   a row, from the combination of the chunks before it.
//
// Layout: x is (rows, n), row-major, from x_at on. sums is (rows, width): the combination of each chunk, by sums.wgsl;
//   not read where width is 1. out is (rows, out_n); with shift = 1, out_n is n + 1, and each row begins with the identity.
// Dispatch: (min(rows * width, max groups), 1, 1); each workgroup strides over the chunks, the last one first: the cache
//   may still hold what sums.wgsl read last.
// Workgroup: THREADS threads scan a chunk in blocks of 4 * THREADS * VECS elements. A thread has VECS vec4s of a block:
//
//   v = 0          | t0: 0..3 | t1: 4..7 | ...        a thread scans each of its vec4s; prefixes() gives what comes
//   v = 1          | t0       | t1       | ...        before each of them in the block, and the total, which is carried
//   ...                                               on to the next block
//
// Workgroup memory: that of prefixes().
// Appended: elem, total and result, the types of x, of the accumulator and of out; loaded and stored, what x and out are
//   bound as; identity() -> total; combine(a, b), combine4(a, b), associative but for rounding; THREADS, VECS, REVERSE;
//   load(at, count) -> vec4<total>, elements at to at + 3, of which `count` exist; store(at, v, count);
//   prefixes(values, t), one of prefixes_subgroup.wgsl and prefixes_workgroup.wgsl.
// Loops marked `// unroll` are unrolled by shaders.py: arrays in registers are indexed by constants only.

struct Uniforms {
    tasks: u32,
    n: u32,
    width: u32,
    chunk: u32,
    x_at: u32,
    out_n: u32,
    shift: u32,
}

@group(0) @binding(0) var<storage, read> values: array<loaded>;
@group(0) @binding(1) var<storage, read> sums: array<total>;
@group(0) @binding(2) var<storage, read_write> out: array<stored>;
@group(0) @binding(3) var<uniform> uniforms: Uniforms;

const BLOCK: u32 = 4u * THREADS * VECS;

// In the order of the scan.
fn ordered(v: vec4<total>) -> vec4<total> {
    if (REVERSE) {
        return v.wzyx;
    }
    return v;
}

fn scanned(v: vec4<total>) -> vec4<total> {
    let xy = combine(v.x, v.y);
    let xyz = combine(xy, v.z);
    return vec4(v.x, xy, xyz, combine(xyz, v.w));
}

// The combination of the chunks of a row before chunk j, in the order of the scan.
fn offset_of(row: u32, j: u32, t: u32) -> total {
    var chunks = array<total, VECS>();
    for (var v = 0u; v < VECS; v++) { // unroll
        chunks[v] = identity();
    }
    let first = select(0u, j + 1u, REVERSE);
    let last = select(j, uniforms.width, REVERSE);
    for (var c = first + t; c < last; c += THREADS) {
        chunks[0] = combine(chunks[0], sums[row * uniforms.width + c]);
    }
    return prefixes(chunks, t).all;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let blocks = (uniforms.chunk + BLOCK - 1u) / BLOCK;
    for (var task = group.x; task < uniforms.tasks; task += groups.x) {
        let place = uniforms.tasks - 1u - task;
        let row = place / uniforms.width;
        let j = place % uniforms.width;
        let end = min(uniforms.n, (j + 1u) * uniforms.chunk);
        let x_row = uniforms.x_at + row * uniforms.n;
        let out_row = row * uniforms.out_n + uniforms.shift;
        var carry = identity();
        if (uniforms.width > 1u) {
            carry = offset_of(row, j, t);
        }
        if (uniforms.shift == 1u && j == 0u && t == 0u) {
            store(out_row - 1u, vec4(identity()), 1u);
        }
        for (var b = 0u; b < blocks; b++) {
            let block = j * uniforms.chunk + select(b, blocks - 1u - b, REVERSE) * BLOCK;
            var vecs = array<vec4<total>, VECS>();
            var totals = array<total, VECS>();
            for (var v = 0u; v < VECS; v++) { // unroll
                let place_in_block = v * THREADS + t;
                let i = block + 4u * select(place_in_block, VECS * THREADS - 1u - place_in_block, REVERSE);
                vecs[v] = scanned(ordered(load(x_row + i, end - min(i, end))));
                totals[v] = vecs[v].w;
            }
            let found = prefixes(totals, t);
            for (var v = 0u; v < VECS; v++) { // unroll
                let place_in_block = v * THREADS + t;
                let i = block + 4u * select(place_in_block, VECS * THREADS - 1u - place_in_block, REVERSE);
                let before = combine(carry, found.before[v]);
                store(out_row + i, ordered(combine4(vec4(before), vecs[v])), end - min(i, end));
            }
            carry = combine(carry, found.all);
        }
    }
}
