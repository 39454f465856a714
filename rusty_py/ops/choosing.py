"""Elements chosen by indices: `take` and `take_along_axis`, and the sums that are their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, I32, U32, Dtype
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply, public
from rusty_py.ops.creation import asarray
from rusty_py.ops.distances import distances
from rusty_py.ops.gathering import gather, gather_along
from rusty_py.ops.indices import index_array, refuse_out_of_bounds
from rusty_py.ops.scattering import Rows, scatter_add
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_of, broadcast, row_major


@public
def take(x: Array | ArrayLike, indices: Array | ArrayLike, /, axis: int | None = None) -> Array:
    """The elements of `x` at `indices` along `axis`; None takes them from the flattened array.

    indices: integers of any shape, whose axes take the place of `axis`; negative ones count from the end. An
    index that is out of bounds gives zeros; IndexingError on a device with run-time checks, and for NumPy's
    and Python's integers. Raises DtypeError for other indices, ShapeError.
    """
    array = asarray(x)
    if axis is None:
        array, axis = array.reshape(-1), 0
    at = axis_of(axis, array.ndim, operation="take")
    index = index_array(indices, array.device, operation="take")
    refuse_out_of_bounds(indices, index, array.shape[at], operation="take")
    return apply(TAKE, array, index, axes=(at,), at=at)


@public
def take_along_axis(x: Array | ArrayLike, indices: Array | ArrayLike, /, axis: int = -1) -> Array:
    """out[..., j, ...] = x[..., indices[..., j, ...], ...] along `axis`: with what `argsort` gives, sorted.

    indices: integers with as many axes as `x`, which broadcast but for `axis`. Out of bounds, and errors, as
    for `take`.
    """
    array = asarray(x)
    at = axis_of(axis, array.ndim, operation="take_along_axis")
    index = index_array(indices, array.device, operation="take_along_axis")
    refuse_out_of_bounds(indices, index, array.shape[at], operation="take_along_axis")
    return apply(TAKE_ALONG_AXIS, array, index, axis=at)


def _forward_take(x: Array, *indices: Array, axes: Shape, at: int) -> Array:
    return gather(x, indices, axes=axes, at=at, operation="take")


def _forward_along(x: Array, index: Array, *, axis: int) -> Array:
    return gather_along(x, index, axis=axis, operation="take_along_axis")


def _forward_scatter(g: Array, *indices: Array, shape: Shape, axes: Shape, at: int) -> Array:
    """Zeros of `shape`, and g added where `take` with these options would read."""
    over = broadcast(*(each.shape for each in indices), operation="scatter_add")
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    sizes = tuple(shape[axis] for axis in axes)
    in_place = axes == tuple(range(at, at + len(axes)))  # Else the axes of the indices come first.
    before = at if in_place else 0
    if not in_place:
        order = [*range(at, at + len(over)), *range(at), *range(at + len(over), g.ndim)]
        g = g.transpose(order)
    if len(indices) == 1:
        index = indices[0].reshape(-1)
    else:
        index = distances(indices, over, sizes, row_major(sizes), operation="scatter_add").reshape(-1)
    outer, inner = (prod(shape[axis] for axis in part) for part in (rest[:before], rest[before:]))
    sums = scatter_add(g, index, Rows(outer, prod(over), prod(sizes), inner), operation="scatter_add")
    if in_place:
        return sums.reshape(shape)
    moved = sums.reshape((*sizes, *(shape[axis] for axis in rest)))
    return moved.transpose([[*axes, *rest].index(axis) for axis in range(len(shape))])


def _forward_scatter_along(g: Array, index: Array, *, shape: Shape, axis: int) -> Array:
    """Zeros of `shape`, and g added where `take_along_axis` would read."""
    to = OPERATIONS["broadcast_to"].forward(index, shape=g.shape)
    outer, n, inner = prod(g.shape[:axis]), g.shape[axis], prod(g.shape[axis + 1 :])
    wide = (*g.shape[:axis], shape[axis], *g.shape[axis + 1 :])
    size = Rows(outer, n, shape[axis], inner)
    sums = scatter_add(g, to.reshape((outer, n, inner)), size, operation="scatter_along_axis")
    return sums.reshape(wide)


def _grad_take(
    g: Array, _out: Layout, _x: Layout, *indices: Array, wanted: Sequence[bool], axes: Shape, at: int
) -> Sequence[Array | None]:
    return [apply(SCATTER_ADD, g, *indices, shape=_x.shape, axes=axes, at=at), *[None] * len(indices)]


def _grad_scatter(
    g: Array,
    _out: Layout,
    _x: Layout,
    *indices: Array,
    wanted: Sequence[bool],
    shape: Shape,
    axes: Shape,
    at: int,
) -> Sequence[Array | None]:
    return [apply(TAKE, g, *indices, axes=axes, at=at), *[None] * len(indices)]


def _grad_along(g: Array, _out: Layout, _x: Layout, index: Array, *, axis: int) -> Array:
    return apply(SCATTER_ALONG_AXIS, g, index, shape=_x.shape, axis=axis)


def _grad_scatter_along(
    g: Array, _out: Layout, _x: Layout, index: Array, *, shape: Shape, axis: int
) -> Array:
    return apply(TAKE_ALONG_AXIS, g, index, axis=axis)


def _numpy_take(x: Values, *indices: Values, axes: Shape, at: int) -> Values:
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    front = x.transpose([*axes, *rest])[tuple(indices)]
    over = np.broadcast(*indices).ndim
    return np.moveaxis(front, range(over), range(at, at + over))


def _numpy_scatter(g: Values, *indices: Values, shape: Shape, axes: Shape, at: int) -> Values:
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    over = np.broadcast(*indices).ndim
    out = np.zeros(shape, g.dtype)
    np.add.at(
        out.transpose([*axes, *rest]), tuple(indices), np.moveaxis(g, range(at, at + over), range(over))
    )
    return out


def _numpy_scatter_along(g: Values, index: Values, *, shape: Shape, axis: int) -> Values:
    out = np.zeros((*g.shape[:axis], shape[axis], *g.shape[axis + 1 :]), g.dtype)
    places = [*np.indices(g.shape)]
    places[axis] = np.broadcast_to(index, g.shape)
    np.add.at(out, tuple(places), g)
    return out


def _indices(kind: Dtype, size: int, *shape: int, seed: int = 0) -> Values:
    """Some of them equal; of i32, some negative."""
    rng = np.random.default_rng(seed)
    return rng.integers(-size if kind is I32 else 0, size, shape).astype(kind.numpy)


def _samples_of_take() -> Iterator[Sample]:
    for kind in samples.KINDS:
        x = samples.values(kind, 6, 10)
        yield Sample(f"take {kind.name} rows", (x, _indices(I32, 6, 9)), {"axes": (0,), "at": 0})
        yield Sample(f"take {kind.name} columns", (x, _indices(U32, 10, 2, 4)), {"axes": (1,), "at": 1})
    x = samples.values(F32, 4, 5, 12)
    for axes, at in (((0, 1), 0), ((0, 2), 0), ((1, 2), 1), ((0, 1, 2), 0)):
        indices = [_indices(I32, x.shape[axis], 7, seed=axis) for axis in axes]
        yield Sample(f"take f32 along {axes}", (x, *indices), {"axes": axes, "at": at})
    yield Sample("take f32 of one row", (x, _indices(I32, 4)), {"axes": (0,), "at": 0})


def _samples_of_along() -> Iterator[Sample]:
    for kind in samples.KINDS:
        x = samples.values(kind, 6, 10)
        yield Sample(f"take_along_axis {kind.name} 1", (x, _indices(I32, 10, 6, 3)), {"axis": 1})
        yield Sample(f"take_along_axis {kind.name} 0", (x, _indices(U32, 6, 8, 10)), {"axis": 0})
    yield Sample("take_along_axis f32 broadcasts", (x, _indices(I32, 10, 1, 3)), {"axis": 1})


def _samples_of_scatter() -> Iterator[Sample]:
    for kind in (F32, F16):
        g = samples.values(kind, 9, 10)
        options = {"shape": (6, 10), "axes": (0,), "at": 0}
        yield Sample(f"scatter_add {kind.name} rows", (g, _indices(I32, 6, 9)), options)
    g, indices = samples.values(F32, 7, 5), [_indices(I32, n, 7, seed=n) for n in (4, 12)]
    yield Sample("scatter_add f32 apart", (g, *indices), {"shape": (4, 5, 12), "axes": (0, 2), "at": 0})


def _samples_of_scatter_along() -> Iterator[Sample]:
    for kind in (F32, F16):
        g, index = samples.values(kind, 6, 4), _indices(I32, 10, 6, 4)
        yield Sample(f"scatter_along_axis {kind.name}", (g, index), {"shape": (6, 10), "axis": 1})


def _exactly(function: Callable[..., Values], sample: Sample) -> Expected:
    return Expected(np.asarray(function(*sample.operands, **sample.options)), None)


def _summed(function: Callable[..., Values], sample: Sample) -> Expected:
    """Sums of at most all elements along the axis, in float32."""
    g, *indices = sample.operands
    kind = F16 if g.dtype == F16.numpy else F32
    exact, size = (function(each.astype(np.float64), *indices, **sample.options) for each in (g, np.abs(g)))
    roundings = indices[0].size * F32.eps / 2
    return Expected(exact, roundings * size + oracle.rounding(exact, ulps=0.5, dtype=kind))


TAKE = OPERATIONS.add(
    Operation(
        "take",
        _forward_take,
        samples=_samples_of_take,
        expected=partial(_exactly, _numpy_take),
        gradient=Gradient(joint=_grad_take),
        reference=_numpy_take,
    )
)
TAKE_ALONG_AXIS = OPERATIONS.add(
    Operation(
        "take_along_axis",
        _forward_along,
        samples=_samples_of_along,
        expected=partial(_exactly, np.take_along_axis),
        gradient=Gradient(_grad_along, None),
        reference=np.take_along_axis,
    )
)
SCATTER_ADD = OPERATIONS.add(
    Operation(
        "scatter_add",
        _forward_scatter,
        samples=_samples_of_scatter,
        expected=partial(_summed, _numpy_scatter),
        gradient=Gradient(joint=_grad_scatter),
        reference=_numpy_scatter,
    )
)
SCATTER_ALONG_AXIS = OPERATIONS.add(
    Operation(
        "scatter_along_axis",
        _forward_scatter_along,
        samples=_samples_of_scatter_along,
        expected=partial(_summed, _numpy_scatter_along),
        gradient=Gradient(_grad_scatter_along, None),
        reference=_numpy_scatter_along,
    )
)
