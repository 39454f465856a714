"""Fused functions for common patterns, which are methods of arrays as well."""

from __future__ import annotations

from rusty_py.arrays import Array
from rusty_py.fusion.function import fuse
from rusty_py.ops.rows import relu


@fuse
def fused_add_relu(x: Array, other: Array | float) -> Array:
    """relu(x + other) by one kernel; shapes broadcast.

    Raises DtypeError, ShapeError, LimitError, OutOfMemory; DeviceError for arrays of two devices.
    """
    return relu(x + other)


@fuse
def fused_mul_relu(x: Array, other: Array | float) -> Array:
    """relu(x * other) by one kernel; shapes broadcast.

    Raises DtypeError, ShapeError, LimitError, OutOfMemory; DeviceError for arrays of two devices.
    """
    return relu(x * other)


@fuse
def fused_affine(x: Array, scale: Array | float, bias: Array | float) -> Array:
    """x * scale + bias by one kernel; shapes broadcast.

    Raises DtypeError, ShapeError, LimitError, OutOfMemory; DeviceError for arrays of two devices.
    """
    return x * scale + bias
