"""Views as operations: they launch nothing, and gradients flow through them.

The methods of `Array` make views directly, and record them by these names where gradients are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.errors import ShapeError
from rusty_py.layout import Layout, index_key, index_of_key, layout_at, layout_of
from rusty_py.operation import HOOKS, OPERATIONS, Cost, Gradient, Operation, apply, public
from rusty_py.ops.creation import asarray, full
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axes_of, broadcast, broadcast_strides, integers_of, shape_of


def permute_dims(x: Array | ArrayLike, /, axes: Sequence[int]) -> Array:
    """`x` with its axes in the order `axes`; shares memory.

    Raises ShapeError unless `axes` names each axis once.
    """
    return asarray(x).transpose(tuple(integers_of(axes, "an axis", operation="permute_dims")))


@public
def matrix_transpose(x: Array | ArrayLike, /) -> Array:
    """`x` with its last two axes exchanged; shares memory. Raises ShapeError for fewer than two."""
    return asarray(x).mT


def reshape(x: Array | ArrayLike, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Array:
    """The elements of `x` in row-major order in another shape, one size of which may be -1.

    Shares memory where strides allow, unless `copy` is True. Raises ShapeError; ValueError if `copy` is
    False and a copy is needed.
    """
    array = asarray(x)
    if copy:
        return array.copy().reshape(shape)
    result = array.reshape(shape)
    if copy is False and result.buffer is not array.buffer:
        raise ValueError(f"reshape: {array.shape} becomes {result.shape} by a copy: leave copy=False out")
    return result


def broadcast_to(x: Array | ArrayLike, /, shape: int | Sequence[int]) -> Array:
    """`x` repeated to `shape` by NumPy's rules, as a view with strides of 0; shares memory.

    Elements that share memory cannot be assigned to. Raises ShapeError where `x` does not broadcast.
    """
    array, to = asarray(x), shape_of(shape, operation="broadcast_to")
    view = _broadcast(array, shape=to)
    if array.node is not None and HOOKS.record is not None:
        HOOKS.record(BROADCAST_TO, (array,), (), {"shape": to}, view)
    return view


@public
def expand_dims(x: Array | ArrayLike, /, *, axis: int | Sequence[int] = 0) -> Array:
    """`x` with an axis of size 1 at each position `axis` of the result; shares memory. Raises ShapeError."""
    array = asarray(x)
    named = integers_of(axis, "an axis", operation="expand_dims")
    count = array.ndim + len(named)
    axes = axes_of(named, count, operation="expand_dims")
    sizes = iter(array.shape)
    return array.reshape(tuple(1 if each in axes else next(sizes) for each in range(count)))


@public
def squeeze(x: Array | ArrayLike, /, axis: int | Sequence[int] | None = None) -> Array:
    """`x` without the axes `axis`, which have size 1; without all of that size if None; shares memory.

    Raises ShapeError for an axis of another size.
    """
    array = asarray(x)
    ones = tuple(i for i, size in enumerate(array.shape) if size == 1)
    axes = ones if axis is None else axes_of(axis, array.ndim, operation="squeeze")
    if not set(axes) <= set(ones):
        raise ShapeError(f"squeeze: only axes of size 1 can go: axis {axis} of shape {array.shape}")
    return array.reshape(tuple(size for i, size in enumerate(array.shape) if i not in axes))


def sum_to(x: Array, shape: Shape) -> Array:
    """The sum of `x` over the axes along which `shape` was broadcast to the shape of `x`."""
    new = x.ndim - len(shape)
    axes = tuple(i for i, size in enumerate(x.shape) if i < new or shape[i - new] != size)
    return apply(OPERATIONS["sum"], x, axis=axes, dtype=None, keepdims=True).reshape(shape)


# What the operations compute.


def _permuted(x: Array, *, axes: Shape) -> Array:
    return x.transpose(axes) if axes else x


def _reshaped(x: Array, *, shape: Shape) -> Array:
    return x.reshape(shape)


def _broadcast(x: Array, *, shape: Shape) -> Array:
    if len(shape) < x.ndim or broadcast(x.shape, shape, operation="broadcast_to") != shape:
        raise ShapeError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    strides = broadcast_strides(x.shape, x.strides, shape)
    return Array(x.buffer, layout_of(x.kind, shape, strides, x.offset), x.offset)


def _indexed(x: Array, *, key: tuple[object, ...]) -> Array:
    distance, layout = layout_at(x.layout, key)
    offset = x.offset + distance
    return Array(x.buffer, layout if offset else layout.at_start, offset)


def _placed(x: Array, *, shape: Shape, key: tuple[object, ...]) -> Array:
    """Zeros of `shape` with `x` at `key`: the gradient of an index."""
    out = full(shape, 0, dtype=x.kind, device=x.device)
    OPERATIONS["assign"].forward(x, _indexed(out, key=key))
    return out


# Their gradients.


def _permuted_back(g: Array, _out: Layout, _x: Layout, *, axes: Shape) -> Array:
    return g.transpose(tuple(axes.index(i) for i in range(len(axes)))) if axes else g


def _reshaped_back(g: Array, _out: Layout, _x: Layout, *, shape: Shape) -> Array:
    return g.reshape(_x.shape)


def _index_back(g: Array, _out: Layout, _x: Layout, *, key: tuple[object, ...]) -> Array:
    return apply(PLACE, g, shape=_x.shape, key=key)


def _place_back(g: Array, _out: Layout, _x: Layout, *, shape: Shape, key: tuple[object, ...]) -> Array:
    return g[index_of_key(key)]


def _broadcast_back(g: Array, _out: Layout, _x: Layout, *, shape: Shape) -> Array:
    return g  # Summed to the shape of x where the pass fits gradients to operands.


# Their records.


def _free(arrays: Sequence[Array], result: Array) -> Cost:
    return Cost(0, 0)


def _add(
    name: str,
    forward: Callable[..., Array],
    gradient: Callable[..., Array],
    reference: Callable[..., Values],
    options: dict[str, Any],
    *,
    function: Callable[..., Array] | None = None,
    numpy: Callable[..., object] | None = None,
    shape: Shape = (6, 10),
) -> Operation:
    """Registers an operation of one array, which moves values as they are; `shape` and `options` try it."""

    def made(kind: Dtype, _: Shape = shape, *, seed: int = 0) -> tuple[Values, ...]:
        return (samples.values(kind, *shape, seed=seed),)

    def each_dtype() -> Iterator[Sample]:
        for kind in samples.KINDS:
            yield Sample(f"{name} {kind.name}", made(kind), options)

    def expected(sample: Sample) -> Expected:
        return Expected(np.asarray(reference(*sample.operands, **sample.options)), None)

    return OPERATIONS.add(
        Operation(
            name,
            forward,
            numpy=numpy,
            function=function,
            samples=each_dtype,
            operands=made,
            expected=expected,
            cost=_free,
            gradient=Gradient(gradient),
            reference=reference,
        )
    )


def _numpy_placed(x: Values, *, shape: Shape, key: tuple[object, ...]) -> Values:
    out = np.zeros(shape, x.dtype)
    out[index_of_key(key)] = x  # type: ignore[index]  # A key is an index.
    return out


_KEY = index_key((slice(1, None, 2), None, -1))

PERMUTE_DIMS = _add(
    "permute_dims",
    _permuted,
    _permuted_back,
    np.transpose,
    {"axes": (2, 0, 1)},
    function=permute_dims,
    numpy=np.transpose,
    shape=(3, 4, 5),
)
RESHAPE = _add(
    "reshape", _reshaped, _reshaped_back, np.reshape, {"shape": (4, 15)}, function=reshape, numpy=np.reshape
)
BROADCAST_TO = _add(
    "broadcast_to",
    _broadcast,
    _broadcast_back,
    np.broadcast_to,
    {"shape": (2, 6, 10)},
    function=broadcast_to,
    numpy=np.broadcast_to,
    shape=(6, 1),
)
GETITEM = _add("getitem", _indexed, _index_back, lambda x, key: x[index_of_key(key)], {"key": _KEY})
PLACE = _add("place", _placed, _place_back, _numpy_placed, {"shape": (6, 10), "key": _KEY}, shape=(3, 1))
