// sums: out[j, 0] = sum over rows of g * z, out[j, 1] = sum over rows of g, where z is the result of a norm without weight
//   and bias, and j a group of rows: the gradients of weight and bias, but for a sum over j. One read of x and g.
//
// Layout, threads and the reduction of a row are those of subgroups.wgsl. out is (groups * ROWS, 2, n), row-major, or
//   (groups * ROWS, n) without BIAS.
// Dispatch: (groups, 1, 1); each workgroup strides over blocks of ROWS rows, and adds them up in registers.
// Workgroup memory: 4 * KEPT bytes, a State for each subgroup of a row.
// Appended: as in subgroups.wgsl, with operands x and g; BIAS; normalized(own, statistics), an item of z;
//   store_sum(i, sum), which stores an item of out.

const ROWS: u32 = THREADS / LANES;
const STEP: u32 = LANES * WIDTH;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let begin = t % LANES * WIDTH;
    let count = (max(uniforms.n, begin) - begin + STEP - 1u) / STEP;  // Items of this thread.
    var weight = array<part, SLOTS>();
    var bias = array<part, SLOTS>();
    for (var first = group.x * ROWS; first < uniforms.rows; first += groups.x * ROWS) {
        // Load; beyond the end, what lies before it
        let inside = first + t / LANES < uniforms.rows;
        let at = starts(min(first + t / LANES, uniforms.rows - 1u));
        var own = array<Elements, SLOTS>();
        for (var k = 0u; k < SLOTS; k++) { // unroll
            own[k] = load(at, min(begin + k * STEP, uniforms.n - WIDTH));
        }

        // Add
        let found = statistics(combined(summary(own, count), place, size, subgroup, subgroups));
        for (var k = 0u; k < SLOTS; k++) { // unroll
            let g = select(part(0.0), own[k].g, inside);
            weight[k] += g * normalized(own[k], found);
            bias[k] += g;
        }
    }

    // Store
    let row = (group.x * ROWS + t / LANES) * select(1u, 2u, BIAS) * uniforms.n;
    for (var k = 0u; k < SLOTS; k++) { // unroll
        if (k < count) {
            store_sum(row + begin + k * STEP, weight[k]);
            if (BIAS) {
                store_sum(row + uniforms.n + begin + k * STEP, bias[k]);
            }
        }
    }
}
