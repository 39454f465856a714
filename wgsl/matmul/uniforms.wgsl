// uniforms: the uniform block of every GEMM kernel, appended to each of them.
//
// Batch: one dispatch computes products * split_k matrices, one for each z of its grid:
//   z = product * split_k + split. The matrix z of c starts at c_offset + z * c_batch_stride.
// Region: rows [row0, m) and columns [col0, n) of c, as far as the grid reaches, summed over k in [k0, k1).
// Split-K: with split_k > 1, split s sums over k_per_split steps from k0 + s * k_per_split on, and the matrices
//   of c are partial sums.
// Addressing: the index of element (i, j) of matrix p of a is, modulo 2^32,
//   a_offset + p * a_batch_stride + i * a_row_stride + j * a_col_stride; b and c likewise.
// Epilogue: accumulate = 1 adds the previous value of c. apply_epilogue = 1 then applies bias and activation: this
//   dispatch completes the sum.
// Transposed problems: only the GEMV kernels compute c^T = b^T * a^T. Then c_col_stride may differ from 1, and
//   bias_by_row = 1 indexes the bias by row.

struct Uniforms {
    m: u32,
    n: u32,
    k: u32,
    row0: u32,
    col0: u32,
    k0: u32,
    k1: u32,
    accumulate: u32,
    apply_epilogue: u32,
    split_k: u32,
    k_per_split: u32,
    a_offset: u32,
    a_batch_stride: u32,
    a_row_stride: u32,
    a_col_stride: u32,
    b_offset: u32,
    b_batch_stride: u32,
    b_row_stride: u32,
    b_col_stride: u32,
    c_offset: u32,
    c_batch_stride: u32,
    c_row_stride: u32,
    c_col_stride: u32,
    bias_by_row: u32,
}
