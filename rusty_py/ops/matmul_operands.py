"""Operands of a product on the device: uploads, and views as matrices that kernels can read."""

import numpy as np

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate, upload
from rusty_py.dtypes import Dtype
from rusty_py.gemm import host
from rusty_py.gemm.describe import matrices
from rusty_py.ops.creation import asarray
from rusty_py.runtime.device import Device
from rusty_py.views import Shape, View, reshaped, row_major


def operand(x: object, kind: Dtype, device: Device) -> Array:
    """`x` on the device; column-major NumPy matrices keep their order."""
    if isinstance(x, Array):
        return asarray(x.astype(kind, copy=False), device=device)
    held = dtypes.cast(np.asarray(x), kind, operation="matmul")
    if host.is_column_major(held):
        return upload(held.swapaxes(-1, -2), kind, device).mT
    return upload(np.ascontiguousarray(held), kind, device)


def planned(x: object, size: tuple[int, int], kind: Dtype, device: Device) -> View:
    """The view that `operand` and `as_matrices` will return."""
    if isinstance(x, Array):
        asarray(x, device=device)
        view = view_of(x) if x.kind is kind else View(0, x.shape, row_major(x.shape))
    else:
        view = host.sent_view(np.asarray(x), kind)
    shape = (*view.shape[:-2], *size)
    return matrices(view, size) or View(0, shape, row_major(shape))


def as_matrices(x: Array, size: tuple[int, int]) -> Array:
    """`x` as matrices with a unit stride, copied if it has none."""
    view = matrices(view_of(x), size)
    return x.reshape((*x.shape[:-2], *size)).copy() if view is None else x.view(view)


def view_of(x: Array) -> View:
    """The elements of the buffer that an array refers to."""
    return View(x.offset, x.shape, x.strides)


def bias_row(bias: Array | None, kind: Dtype, device: Device) -> Array | None:
    """The bias as a contiguous row at offset 0."""
    if bias is None:
        return None
    bias = operand(bias, kind, device)
    return bias if bias.contiguous and not bias.offset else bias.copy()


def target(
    out: Array | None,
    shape: Shape,
    inputs: list[Array | None],
    kind: Dtype,
    device: Device,
    *,
    accumulate: bool,
) -> Array:
    """The array that receives the product, as matrices: `out` itself, or a temporary to copy to it.

    With `accumulate` a temporary starts as a copy of `out`.
    """
    if out is None:
        return allocate(device, shape, kind, operation="matmul")
    strides = reshaped(out.shape, out.strides, shape)
    shared = any(each is not None and each.buffer is out.buffer for each in inputs)
    if strides is not None and strides[-1] == 1 and not shared and out.device is device:
        return out.view(View(out.offset, shape, strides))
    if accumulate:
        return asarray(out, device=device).copy().reshape(shape)
    return allocate(device, shape, kind, operation="matmul")
