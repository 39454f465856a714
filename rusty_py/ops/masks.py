"""Where a mask is true: how many elements that are must be known on the host, so this waits."""

from __future__ import annotations

from math import prod

from numpy.typing import ArrayLike

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, I32
from rusty_py.errors import ShapeError, UnsupportedError
from rusty_py.operation import OPERATIONS, Operation, apply, public
from rusty_py.ops import generator
from rusty_py.ops.compute import compute
from rusty_py.ops.creation import ARANGE, asarray
from rusty_py.ops.gathering import put
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.scan.operations import cumulative_sum
from rusty_py.runtime.launch import Spec

_BEYOND = 0x7FFFFFFF  # An index of no element.
_RANK = Body("rank", ("u32", "i32"), "i32", f"select({_BEYOND}, y - 1, x != 0u)")
_COORDINATE = Body("coordinate", ("i32", "u32", "u32"), "i32", "i32(u32(x) / y % z)")


@public
def nonzero(x: Array | ArrayLike, /) -> tuple[Array, ...]:
    """The indices of the elements that are not zero, an i32 array for each axis, in row-major order.

    Waits for their number. Raises ShapeError for arrays without axes, UnsupportedError in a capture, where
    their number cannot be known.
    """
    array = asarray(x)
    if not array.ndim:
        raise ShapeError("nonzero: needs 1 axis or more: shape ()")
    mask = array if array.kind is BOOL else array.detach().astype(BOOL)
    flat = true_places(mask, operation="nonzero")
    if array.ndim == 1:
        return (flat,)
    places = []
    for axis, size in enumerate(array.shape):
        places.append(apply(COORDINATE, flat, words=(prod(array.shape[axis + 1 :]), size)))
    return tuple(places)


def true_places(mask: Array, *, operation: str) -> Array:
    """Where `mask` is true, counted through its elements in row-major order: i32. Waits for their number."""
    if mask.device.recorder is not None:
        raise UnsupportedError(
            f"{operation}: not in a capture, where the number of elements cannot be known:"
            " choose with rp.where(mask, x, y)"
        )
    mask.buffer.ensure_readable(operation)
    flat = mask.reshape(-1)
    ranks = cumulative_sum(flat)
    count = int(ranks[-1].item()) if flat.size else 0
    return apply(PLACES, flat, ranks, count=count)


def _forward_places(mask: Array, ranks: Array, *, count: int) -> Array:
    """Each place where the mask is true goes where the number of those before it says."""
    out = allocate(mask.device, (count,), I32, operation="nonzero")
    if count:
        index = allocate(mask.device, mask.shape, I32, operation="nonzero")
        compute(_RANK, (mask, ranks), index)
        places = ARANGE.forward(0, 1, device=mask.device, size=mask.size, dtype=I32)
        put(places, [index], out, axes=(0,), at=0, operation="nonzero")
    return out


def _forward_coordinate(places: Array, step: int, size: int) -> Array:
    """The index along an axis of `size`, which has `step` elements from one to the next."""
    out = allocate(places.device, places.shape, I32, operation="nonzero")
    compute(_COORDINATE, (places, step, size), out)
    return out


PLACES = OPERATIONS.add(Operation("places", _forward_places, gradient="the result is indices"))
COORDINATE = OPERATIONS.add(Operation("coordinate", _forward_coordinate, gradient="the result is indices"))


def variants() -> list[Spec]:
    """The kernels of no other operation."""
    return [
        generator.spec(_RANK, Skeleton("flat", 4, ("vec4", "vec4"))),
        generator.spec(_COORDINATE, Skeleton("flat", 4, ("vec4", "number", "number"))),
    ]
