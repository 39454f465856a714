"""Implicit GEMM: correlations as products of matrices with compound axes, by the blocked GEMM kernels.

The image matrix has a row for each pixel of the result and a column for each tap and channel. It is a view of
the image, or of a copy that has zeros around and contiguous channels. sources.py decides which, and pack.py
makes the copy; products.py states sizes and strides of the matrices; algorithm.py launches.
"""
