// tree: out[row] = f(x[row]) for rows of any length and strides, without subgroups. See subgroups.wgsl for what a row
//   operation consists of.
//
// Layout: as in subgroups.wgsl. A job is a part of a row, `chunk` elements; jobs of neighbouring rows are neighbours.
// Dispatch: (min(ceil(jobs / COLS), max groups), 1, 1); each workgroup strides over blocks of COLS jobs.
// Workgroup: THREADS threads, COLS jobs by LANES lanes:
//
//   job 0    job 1   ...  job COLS - 1
//   lane 0   lane 0       lane 0         items 0, LANES, ... of each job
//   lane 1   lane 1       lane 1         items 1, LANES + 1, ...
//
//   One job (COLS = 1) for long rows; 32 jobs where neighbouring rows are neighbours in memory, so that loads are coalesced
//   across them. With LANES = 1 a thread has a whole row: few elements of such rows, and rows of any length on CPU drivers,
//   where barriers are slow.
// Thread: SLOTS items at a time. With ONCE these are all it has, and they stay in registers; otherwise it loads them again
//   to compute out. The states of the lanes are combined by a tree in workgroup memory.
// Rows in several parts take two dispatches: with WRITES_STATES the state of each job is all that is stored, and with
//   READS_STATES those of all parts of a row are combined in place of loading its elements a first time.
// Workgroup memory: 4 * KEPT bytes, a State for each thread; one alone with LANES = 1.
// Loop iterations of a thread: for each job 2 * ceil(chunk / (LANES * WIDTH * SLOTS)), and parts / LANES.
// Appended: as in subgroups.wgsl; ONCE, WRITES_STATES, READS_STATES; state_of(job), store_state(job, state).

const COLS: u32 = THREADS / LANES;
const STEP: u32 = LANES * WIDTH;

var<workgroup> kept: array<f32, KEPT>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t / COLS;
    let jobs = uniforms.rows * uniforms.parts;
    for (var first = group.x * COLS; first < jobs; first += groups.x * COLS) {
        let job = min(first + t % COLS, jobs - 1u);
        let inside = first + t % COLS < jobs;
        let row = job % uniforms.rows;
        let at = starts(row);
        let begin = job / uniforms.rows * uniforms.chunk + lane * WIDTH;
        let end = select(0u, min(uniforms.n, begin - lane * WIDTH + uniforms.chunk), inside);

        // Reduce
        var own = array<Elements, SLOTS>();
        var state = identity();
        if (READS_STATES) {
            for (var part = lane; part < uniforms.parts; part += LANES) {
                state = combine(state, state_of(part * uniforms.rows + row));
            }
        } else {
            for (var i = begin; i < end; i += SLOTS * STEP) {
                for (var k = 0u; k < SLOTS; k++) { // unroll
                    own[k] = load(at, min(i + k * STEP, end - WIDTH));
                }
                state = combine(state, summary(own, (end - i + STEP - 1u) / STEP));
            }
        }
        if (LANES > 1u) {
            keep(t, state);
            workgroupBarrier();
            for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
                if (lane < stride) {
                    keep(t, combine(kept_state(t), kept_state(t + stride * COLS)));
                }
                workgroupBarrier();
            }
            state = kept_state(t % COLS);
            workgroupBarrier();  // `kept` is reused for the next job.
        }

        // Store
        if (WRITES_STATES) {
            if (lane == 0u && inside) {
                store_state(job, state);
            }
        } else {
            let found = statistics(state);
            for (var i = begin; i < end; i += SLOTS * STEP) {
                for (var k = 0u; k < SLOTS; k++) { // unroll
                    if (i + k * STEP < end) {
                        if (!ONCE) {
                            own[k] = load(at, i + k * STEP);
                        }
                        store(at, i + k * STEP, own[k], found);
                    }
                }
            }
        }
    }
}
