// direct: c[m, n] = sum_k a[m, k] * b[k, n], at any strides.
// A thread keeps THREAD_M x THREAD_N sums in registers and loads straight from a and b: caches do the sharing.
// A workgroup is LANES_M x LANES_N threads, neighbours along n, and its block THREAD_M * LANES_M rows by THREAD_N *
// LANES_N columns. Dispatch (ceil(cols / block), ceil(rows / block), products * splits); dims.wgsl says over what.
// Workgroup memory: none.
// Loads beyond an edge are moved to the last element, and zeros take the place of what they read beyond k;
// stores are guarded. A thread goes round its loops ceil(depth / STEP) + THREAD_M / ROWS times.
// Appended: the constants named here; from_lane(x, lane), the x of that thread of the workgroup; dims.wgsl; and the
// functions that read and write the buffers, by fours where A_FOURS, B_FOURS and C_FOURS say so.
// A load of a is A_M rows by A_K columns, one of b B_K by B_N: 1 x 1, or four numbers in the direction where they
// lie together. SHARERS is 1, or LANES_N where neighbours load different rows of a and ask each other: then a
// workgroup is in one subgroup.
// The loops marked so are unrolled, for arrays in registers are indexed by constants alone.

const A_SIZE: u32 = A_M * A_K;
const B_SIZE: u32 = B_K * B_N;
const A_LOADS: u32 = THREAD_M / A_M / SHARERS;
const B_LOADS: u32 = THREAD_N / B_N;
const THREAD_N4: u32 = THREAD_N / 4u;

fn a_load(at: u32) -> vec4<f32> {
    if (A_FOURS) {
        return a_four(at);
    }
    return vec4(a_one(at));
}

fn b_load(at: u32) -> vec4<f32> {
    if (B_FOURS) {
        return b_four(at);
    }
    return vec4(b_one(at));
}

@compute @workgroup_size(LANES_M * LANES_N)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let lane = t % LANES_N;
    let first_lane = t - lane;
    let row = dims.row0 + (group.y * LANES_M + t / LANES_N) * THREAD_M;
    let col = dims.col0 + group.x * LANES_N * THREAD_N + lane * 4u;
    let product = group.z / dims.splits;
    let k0 = dims.k0 + group.z % dims.splits * dims.depth;
    let k1 = min(dims.k1, k0 + dims.depth);
    let k_last = k1 - 1u;

    var a_from = array<u32, A_LOADS>();
    for (var i = 0u; i < A_LOADS; i++) { // unroll
        let from_row = row + (i * SHARERS + lane % SHARERS) * A_M;
        a_from[i] = dims.a_at + product * dims.a_step + min(from_row, dims.m - 1u) * dims.a_row;
    }
    // A thread has columns by fours, and neighbours have neighbouring fours.
    var b_from = array<u32, B_LOADS>();
    for (var j = 0u; j < B_LOADS; j++) { // unroll
        let from_col = col + j * B_N / 4u * 4u * LANES_N + j * B_N % 4u;
        b_from[j] = dims.b_at + product * dims.b_step + min(from_col, dims.n - 1u) * dims.b_col;
    }

    var sum = array<vec4<f32>, THREAD_M * THREAD_N4>();
    for (var k = k0; k < k1; k += STEP) {
        var a_part = array<f32, A_LOADS * A_M * STEP>();
        for (var h = 0u; h < STEP / A_K; h++) { // unroll
            let at = min(k + h * A_K, k_last) * dims.a_col;
            let inside = k + h * A_K < k1;
            for (var i = 0u; i < A_LOADS; i++) { // unroll
                let x = select(vec4<f32>(), a_load(a_from[i] + at), inside);
                for (var e = 0u; e < A_SIZE; e++) { // unroll
                    a_part[(i * A_M + e % A_M) * STEP + h * A_K + e / A_M] = x[e];
                }
            }
        }
        var b_part = array<vec4<f32>, STEP * THREAD_N4>();
        for (var h = 0u; h < STEP / B_K; h++) { // unroll
            let at = min(k + h * B_K, k_last) * dims.b_row;
            let inside = k + h * B_K < k1;
            for (var j = 0u; j < B_LOADS; j++) { // unroll
                let x = select(vec4<f32>(), b_load(b_from[j] + at), inside);
                for (var e = 0u; e < B_SIZE; e++) { // unroll
                    b_part[(h * B_K + e / B_N) * THREAD_N4 + (j * B_N + e % B_N) / 4u][(j * B_N + e % B_N) % 4u] = x[e];
                }
            }
        }
        for (var some = 0u; some < THREAD_M / ROWS; some++) { // unroll
            var part = array<f32, ROWS * STEP>();
            for (var h = 0u; h < STEP; h++) { // unroll
                for (var r = 0u; r < ROWS; r++) { // unroll
                    const i = some * ROWS + r;
                    const mine = i / A_M / SHARERS * A_M + i % A_M;
                    part[r * STEP + h] = from_lane(a_part[mine * STEP + h], first_lane + i / A_M % SHARERS);
                }
            }
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                for (var h = 0u; h < STEP; h++) { // unroll
                    for (var r = 0u; r < ROWS; r++) { // unroll
                        const at = (some * ROWS + r) * THREAD_N4 + j;
                        sum[at] = fma(vec4(part[r * STEP + h]), b_part[h * THREAD_N4 + j], sum[at]);
                    }
                }
            }
        }
    }

    // The sums move up to the first ROWS rows, from where they are stored: written out for all of them, the loads
    // and stores would take a driver longer to compile than all the rest.
    let c_at = dims.c_at + group.z * dims.c_step;
    for (var done = 0u; done < THREAD_M; done += ROWS) {
        for (var i = 0u; i < ROWS; i++) { // unroll
            let to_row = row + done + i;
            for (var j = 0u; j < THREAD_N4; j++) { // unroll
                let to_col = col + j * 4u * LANES_N;
                if (to_row < dims.m && to_col < dims.n) {
                    c_four(c_at + to_row * dims.c_row + to_col, to_col, sum[i * THREAD_N4 + j]);
                }
            }
        }
        for (var i = 0u; i < (THREAD_M - ROWS) * THREAD_N4; i++) { // unroll
            sum[i] = sum[i + ROWS * THREAD_N4];
        }
    }
}
