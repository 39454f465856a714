"""Importing this registers every operation."""

from rusty_py.ops import arranging, creation, elementwise, joining, linspace, matmul, reduce, rows

__all__ = [
    "arranging",
    "creation",
    "elementwise",
    "joining",
    "linspace",
    "matmul",
    "reduce",
    "rows",
]
