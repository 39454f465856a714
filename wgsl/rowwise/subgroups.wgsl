// subgroups: out[row] = f(x[row]), for rows that fit into the registers of their threads: one read and one write of memory.
//
// A row operation is a monoid and a function: `summary` reduces the elements of a thread to a State, `combine` combines
//   two of them, `statistics` finishes that of a row, and `store` computes each element of out from it. The operations are in
//   the other files of this folder.
// Layout: an item is WIDTH neighbouring elements along the row, f32 or vec4<f32>. Rows have two axes, with any strides.
// Dispatch: (min(ceil(rows / ROWS), max groups), 1, 1); each workgroup strides over blocks of ROWS rows.
// Workgroup: THREADS threads; LANES of them share a row, which is all of them, or 4, the smallest size of a subgroup.
// Thread: the items lane, lane + LANES, ... of its row, up to SLOTS of them.
//
//   row       lane 0   lane 1   ...   lane LANES - 1   lane 0   lane 1   ...
//             slot 0                                   slot 1
//
// Workgroup memory: 4 * KEPT bytes, a State for each subgroup of a row.
// Appended: THREADS, LANES, SLOTS, WIDTH, KEPT; part, the type of an item; Uniforms; the bindings; Starts and starts(row),
//   where the row begins in each array; Elements, an item of each operand; load(at, i); store(at, i, own, statistics); State,
//   and keep(i, state), kept_state(i), shuffled(state, mask); the functions of the operation; subgroup_states.wgsl, which
//   combines the states of the lanes.

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
    for (var first = group.x * ROWS; first < uniforms.rows; first += groups.x * ROWS) {
        // Load; beyond the end, what lies before it
        let at = starts(min(first + t / LANES, uniforms.rows - 1u));
        var own = array<Elements, SLOTS>();
        for (var k = 0u; k < SLOTS; k++) { // unroll
            own[k] = load(at, min(begin + k * STEP, uniforms.n - WIDTH));
        }

        // Reduce
        let state = combined(summary(own, count), place, size, subgroup, subgroups);

        // Store
        let found = statistics(state);
        for (var k = 0u; k < SLOTS; k++) { // unroll
            if (k < count && first + t / LANES < uniforms.rows) {
                store(at, begin + k * STEP, own[k], found);
            }
        }
    }
}
