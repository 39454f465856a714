"""Arrays larger than one binding: parts that fit, and the windows of their buffers that launches bind."""

from collections.abc import Sequence

from rusty_py.arrays import Array
from rusty_py.errors import LimitError
from rusty_py.runtime.buffer import BINDING_BYTES, Buffer, BufferBinding
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, View, broadcast_strides

UNIT = 64
"""Elements along memory that parts are multiples of, so that their loads stay aligned."""

_VEC4_BYTES = 16


def fits(x: Array) -> bool:
    """Whether a launch can bind all elements of `x` at once."""
    limit = x.device.limits.binding_bytes
    return x.buffer.nbytes <= limit or _window_bytes(x) <= limit


def bound(x: Array) -> tuple[Buffer | BufferBinding, int]:
    """What a launch binds for `x`, and the offset of `x` in it, in elements.

    The buffer, or the window with its elements if the buffer is larger than a binding. Raises LimitError if
    the window is larger as well.
    """
    if x.buffer.nbytes <= x.device.limits.binding_bytes:
        return x.buffer, x.offset
    low, _ = _reach(x)
    start = low * x.kind.itemsize // BINDING_BYTES * BINDING_BYTES
    nbytes = min(_window_bytes(x), x.buffer.bound_bytes - start)
    if nbytes > x.device.limits.binding_bytes:
        raise LimitError(
            f"array: larger than one binding on {x.device.adapter}: {nbytes} >"
            f" {x.device.limits.binding_bytes} bytes for shape {x.shape} with strides {x.strides}"
        )
    return BufferBinding(x.buffer, start, nbytes), x.offset - start // x.kind.itemsize


def in_one_binding(x: Array, *, operation: str) -> Array:
    """`x` for kernels that bind whole buffers: a copy if its buffer is larger than a binding.

    Raises LimitError if `x` is larger itself.
    """
    limit = x.device.limits.binding_bytes
    if x.buffer.nbytes <= limit:
        return x
    if x.nbytes > limit:
        raise LimitError(
            f"{operation}: an array is larger than one binding on {x.device.adapter}: {x.nbytes} > {limit}"
            f" bytes for shape {x.shape}; compute parts of the batch"
        )
    return x.copy()


def _reach(x: Array) -> tuple[int, int]:
    """The first and the last element in memory."""
    spans = [(size - 1) * step for size, step in zip(x.shape, x.strides, strict=True)]
    return x.offset + sum(min(0, each) for each in spans), x.offset + sum(max(0, each) for each in spans)


def _window_bytes(x: Array) -> int:
    low, high = _reach(x)
    start = low * x.kind.itemsize // BINDING_BYTES * BINDING_BYTES
    return ceil_div((high + 1) * x.kind.itemsize - start, _VEC4_BYTES) * _VEC4_BYTES


def part_fits(x: Array, sizes: Sequence[int]) -> bool:
    """Whether a launch can bind any part of `x` of these sizes, wherever it begins."""
    limit = x.device.limits.binding_bytes
    reach = sum((size - 1) * abs(step) for size, step in zip(sizes, x.strides, strict=True))
    return x.buffer.nbytes <= limit or (reach + 1) * x.kind.itemsize + BINDING_BYTES + _VEC4_BYTES <= limit


def halves(operands: Sequence[Array | int], out: Array) -> list[list[Array | int]]:
    """The operands, broadcast to the shape of `out`, and `out`, in two parts along one axis.

    The axis is the one that reaches furthest in the memory of what does not fit. Numbers stay as they are.
    Raises LimitError if there is nothing to divide.
    """
    whole = [_broadcast(x, out.shape) if isinstance(x, Array) else x for x in (*operands, out)]
    large = [x for x in whole if isinstance(x, Array) and not fits(x)]
    reaches = [
        max((size - 1) * abs(each.strides[axis]) for each in large) for axis, size in enumerate(out.shape)
    ]
    axis = max(range(out.ndim), key=reaches.__getitem__, default=0)
    if not any(reaches):
        raise LimitError(
            f"array: one element is larger than a binding on {out.device.adapter}: shape {out.shape}"
        )
    half = ceil_div(out.shape[axis], 2)
    if out.strides[axis] == 1 and half > UNIT:
        half = ceil_div(half, UNIT) * UNIT
    return [
        [part_of(x, axis, *part) if isinstance(x, Array) else x for x in whole]
        for part in ((0, half), (half, out.shape[axis]))
    ]


def _broadcast(x: Array, shape: Shape) -> Array:
    return (
        x if x.shape == shape else x.view(View(x.offset, shape, broadcast_strides(x.shape, x.strides, shape)))
    )


def part_of(x: Array, axis: int, start: int, stop: int) -> Array:
    """The elements of `x` from `start` to `stop` along an axis."""
    shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
    return x.view(View(x.offset + start * x.strides[axis], shape, x.strides))
