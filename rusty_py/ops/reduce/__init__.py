"""Reductions over axes: a monoid each, in passes by threads, or by workgroups for rows and columns.

`box.py` finds the axes that kernels see, `passes.py` chooses kernels, `kernels.py` writes their WGSL,
`source.py` and `launches.py` launch them, and `parts.py` divides what is larger than a binding.
"""
