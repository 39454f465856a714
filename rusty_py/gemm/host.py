"""Products of NumPy arrays: on the device as a whole if they fit, else streamed in blocks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import dtypes
from rusty_py.dtypes import Dtype
from rusty_py.errors import DeviceError, OutOfMemory
from rusty_py.gemm.describe import check_computes, check_out, is_array, kind_of, result_shape
from rusty_py.gemm.options import MatmulOptions
from rusty_py.gemm.stream import StreamJob, fits, stream
from rusty_py.runtime.device import Device, default_device
from rusty_py.shapes import matmul_shapes
from rusty_py.views import View, row_major

Host = NDArray[Any]
Whole = Callable[[Device, StreamJob, MatmulOptions], None]
"""Computes a job with all operands on the device."""


def multiply(
    left: Host, right: Host, out: Any, device: Device | None, options: MatmulOptions, *, whole: Whole
) -> Host:
    """The product of two host arrays, in `out` if given. Raises as `matmul` does."""
    m, k, n, batch = matmul_shapes(left.shape, right.shape)
    kind = kind_of(left, right, options.dtype)
    options.check_for(n, kind)
    shape = result_shape(left.shape, right.shape, batch)
    if out is not None:
        check_out(out, shape, kind, on_host=True)
    for each in (left, right):
        dtypes.cast(each[:0], kind, operation="matmul")  # Only checks; blocks are cast later.
    result = np.zeros((*batch, m, n), kind.numpy)
    bare = options.bias is None and options.activation is None and not options.accumulate
    if result.size and (k or not bare):
        device = device or default_device()
        check_computes(device, kind)
        x, y = left.reshape((*left.shape[:-2], m, k)), right.reshape((*right.shape[:-2], k, n))
        if not k:  # Replace the empty sum by a single zero term.
            zero = np.zeros((), kind.numpy)
            x = np.broadcast_to(zero, (*x.shape[:-2], m, 1))
            y = np.broadcast_to(zero, (*y.shape[:-2], 1, n))
        added = np.asarray(out).reshape(result.shape) if options.accumulate else None
        accumulate_dtype, activation = options.accumulate_dtype_of(kind), options.activation or ""
        job = StreamJob(x, y, result, kind, accumulate_dtype, added, activation=activation, tile=options.tile)
        _compute(device, job, options, whole)
    if out is not None:
        out[...] = result.reshape(shape)
        return out  # type: ignore[no-any-return]
    result = result.reshape(shape)
    return result[()] if result.ndim == 0 else result  # A scalar, as NumPy returns.


def _compute(device: Device, job: StreamJob, options: MatmulOptions, whole: Whole) -> None:
    """Computes the job as a whole if it fits, else in blocks."""
    if device.graph is not None:
        raise DeviceError("matmul: of NumPy's arrays not in a capture, where nothing is computed")
    sizes = [each.size * job.kind.itemsize for each in (job.a, job.b, job.c)]
    max_bytes = None
    if fits(device, *sizes):
        try:
            return whole(device, job, options)
        except OutOfMemory:
            max_bytes = sum(sizes) // 2
    if options.bias is not None:
        held = options.bias.numpy() if is_array(options.bias) else np.asarray(options.bias)
        job = replace(job, bias=dtypes.cast(held, job.kind, operation="matmul"))
    return stream(device, job, max_bytes=max_bytes)


def is_column_major(x: Host) -> bool:
    """Whether the matrices of `x` are column-major and contiguous; they are uploaded without a transpose."""
    return x.ndim > 1 and not x.flags.c_contiguous and x.swapaxes(-1, -2).flags.c_contiguous


def sent_view(x: Host, kind: Dtype) -> View:
    """The view of `x` on the device after the upload. Raises DtypeError if `kind` cannot hold its values."""
    dtypes.cast(np.empty(0, x.dtype), kind, operation="matmul")
    if not is_column_major(x):
        return View(0, x.shape, row_major(x.shape))
    *lead, row, col = row_major(x.swapaxes(-1, -2).shape)
    return View(0, x.shape, (*lead, col, row))
