// dims: what all of these kernels are told. A launch computes the products * splits matrices of its z, each from
// (row0, col0) on, over k in [k0, k1). Element (i, j) of a's matrix p is a[a_at + p * a_step + i * a_row + j * a_col],
// modulo 2^32, and b's and c's likewise. With splits above 1, the part s of the product p is the matrix
// z = p * splits + s of c, and sums over `depth` of k from k0 + s * depth on. `accumulate` adds what c holds,
// and `finishes` says that what is stored then is the result: finish() takes it first. Kernels for thin products may
// be told to compute the transpose: only for them is c_col not 1, or has the bias a number for each row.

struct Dims {
    m: u32,
    n: u32,
    k: u32,
    row0: u32,
    col0: u32,
    k0: u32,
    k1: u32,
    accumulate: u32,
    finishes: u32,
    splits: u32,
    depth: u32,
    a_at: u32,
    a_step: u32,
    a_row: u32,
    a_col: u32,
    b_at: u32,
    b_step: u32,
    b_row: u32,
    b_col: u32,
    c_at: u32,
    c_step: u32,
    c_row: u32,
    c_col: u32,
    bias_by_row: u32,
}

@group(0) @binding(4) var<uniform> dims: Dims;
