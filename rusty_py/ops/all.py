"""Importing this registers every operation."""

from rusty_py.ops import creation, elementwise, matmul, reduce, rows

__all__ = ["creation", "elementwise", "matmul", "reduce", "rows"]
