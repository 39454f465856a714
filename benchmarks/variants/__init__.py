"""Kernels and geometries of operations, and how each is forced: see benchmarks/kernel_variants.py."""
