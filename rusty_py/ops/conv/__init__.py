"""Convolutions: each is one or more correlations (correlation.py), which the algorithms compute.

From a call to a kernel: geometry.py checks sizes and options, operations.py has the three operations and
their gradients, problems.py turns them into correlations, select.py chooses an `Algorithm` (algorithm.py).
plan.py describes the choice, tuning.py stores measured ones, reference.py computes the operations in float64.

Each algorithm ends in its record: basic.py, basic_weights.py, optimized.py, and the packages direct/,
implicit_gemm/ and winograd/.
"""
