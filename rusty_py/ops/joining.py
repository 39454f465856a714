"""Arrays joined along an axis, and split along one: `concat`, `stack`, `unstack` and `split`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import ShapeError
from rusty_py.operation import OPERATIONS, PUBLIC, Gradient, Operation, apply, public
from rusty_py.ops.compute import compute
from rusty_py.ops.conversions import cast
from rusty_py.ops.creation import asarray
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_key, axis_of, integer_of, integers_of


@public
def concat(arrays: Array | Sequence[Array | ArrayLike], /, axis: int | None = 0) -> Array:
    """The arrays one after the other along `axis`, which must exist; None flattens them first.

    arrays: of equal shapes but for `axis`. f16 and f32 give f32. One launch for each array.
    Raises ShapeError, DtypeError for dtypes that do not mix, LimitError, OutOfMemory.
    """
    parts = _parts(arrays, operation="concat")
    if axis is None:
        parts = [asarray(each).reshape(-1) for each in parts]
    return apply(CONCAT, *parts, axis=axis_key(0 if axis is None else axis, operation="concat"))


concatenate = PUBLIC["concatenate"] = concat
"""NumPy's name."""


@public
def stack(arrays: Array | Sequence[Array | ArrayLike], /, axis: int = 0) -> Array:
    """The arrays, of one shape, one after the other along a new `axis` of the result.

    f16 and f32 give f32. One launch for each array.
    Raises ShapeError, DtypeError for dtypes that do not mix, LimitError, OutOfMemory.
    """
    return apply(STACK, *_parts(arrays, operation="stack"), axis=axis_key(axis, operation="stack"))


@public
def unstack(x: Array | ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of `x` along `axis`, which they lack; they share memory. Raises ShapeError."""
    array = asarray(x)
    if not array.ndim:
        raise ShapeError("unstack: needs 1 axis or more: shape ()")
    at = axis_of(axis, array.ndim, operation="unstack")
    return tuple(array[along(at, i)] for i in range(array.shape[at]))


@public
def split(
    x: Array | ArrayLike, indices_or_sections: int | Sequence[int], /, axis: int = 0
) -> tuple[Array, ...]:
    """`x` in parts along `axis`, which share memory, as numpy.split.

    An integer is the number of parts, of equal size; a sequence says where each part after the first begins.
    Raises ShapeError where the parts would not be equal.
    """
    array = asarray(x)
    if not array.ndim:
        raise ShapeError("split: needs 1 axis or more: shape ()")
    at = axis_of(axis, array.ndim, operation="split")
    size = array.shape[at]
    if isinstance(indices_or_sections, Sequence | np.ndarray):
        bounds = integers_of(indices_or_sections, "where a part begins", operation="split")
    else:
        count = integer_of(indices_or_sections, "the number of parts", operation="split")
        if count < 1 or size % count:
            raise ShapeError(
                f"split: not into equal parts: {size} elements along axis {axis} in {count} parts;"
                " say where each part begins"
            )
        bounds = [i * (size // count) for i in range(1, count)]
    starts, ends = [0, *bounds], [*bounds, size]
    return tuple(array[along(at, slice(*each))] for each in zip(starts, ends, strict=True))


def along(axis: int, key: int | slice) -> tuple[int | slice, ...]:
    """The index that is `key` on `axis` and takes all of the axes before it."""
    return (slice(None),) * axis + (key,)


def _parts(arrays: Array | Sequence[Array | ArrayLike], *, operation: str) -> list[Array | ArrayLike]:
    if isinstance(arrays, Array):
        return [*unstack(arrays)]
    parts = [*arrays]
    if not parts:
        raise ShapeError(f"{operation}: needs 1 array or more")
    return parts


def _forward_concat(*arrays: Array, axis: int) -> Array:
    shapes = [each.shape for each in arrays]
    if () in shapes:
        raise ShapeError("concat: arrays without axes have none to be joined along: use stack")
    at = axis_of(axis, len(shapes[0]), operation="concat")
    if len({(*shape[:at], *shape[at + 1 :], len(shape)) for shape in shapes}) > 1:
        listed = ", ".join(map(str, dict.fromkeys(shapes)))
        raise ShapeError(f"concat: shapes differ in more than axis {axis}: {listed}")
    sizes = [shape[at] for shape in shapes]
    shape = (*shapes[0][:at], sum(sizes), *shapes[0][at + 1 :])
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    places = [along(at, slice(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
    return _placed(arrays, shape, places, operation="concat")


def _forward_stack(*arrays: Array, axis: int) -> Array:
    first = arrays[0].shape
    at = axis_of(axis, len(first) + 1, operation="stack")
    for each in arrays:
        if each.shape != first:
            raise ShapeError(f"stack: shapes differ: {first} and {each.shape}")
    shape = (*first[:at], len(arrays), *first[at:])
    return _placed(arrays, shape, [along(at, i) for i in range(len(arrays))], operation="stack")


def _placed(
    arrays: Sequence[Array], shape: Shape, places: Sequence[tuple[int | slice, ...]], *, operation: str
) -> Array:
    """A new array of `shape`, in each place a copy of one of `arrays`."""
    kind = reduce(partial(dtypes.promoted, operation=operation), [each.kind for each in arrays])
    out = allocate(arrays[0].device, shape, kind, operation=operation)
    for x, place in zip(arrays, places, strict=True):
        compute(cast(x.kind, kind), (x,), out[place], fresh=False)
    return out


def _grad_concat(
    g: Array, _out: Array, *_arrays: Array, axis: int, wanted: Sequence[bool]
) -> Sequence[Array | None]:
    at = axis_of(axis, g.ndim, operation="concat")
    bounds = np.cumsum([each.shape[at] for each in _arrays]).tolist()
    return split(g, bounds[:-1], axis=at)


def _grad_stack(
    g: Array, _out: Array, *_arrays: Array, axis: int, wanted: Sequence[bool]
) -> Sequence[Array | None]:
    return unstack(g, axis=axis)


def _made(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    """Operands of one shape."""
    return samples.ordinary(kind, 3, *shape, seed=seed)


def _samples_of_concat() -> Iterator[Sample]:
    for kind in samples.KINDS:
        parts = [samples.values(kind, 5, n, 3, seed=n) for n in (4, 1, 6)]
        yield Sample(f"concat {kind.name}", tuple(parts), {"axis": 1})
    rows = [samples.values(F32, n, 8, seed=n) for n in (3, 0, 5)]
    yield Sample("concat f32 along rows", tuple(rows), {"axis": -2})
    mixed = samples.values(F16, 3, 5), samples.values(F32, 3, 4)
    yield Sample("concat f16 and f32", mixed, {"axis": 1})


def _samples_of_stack() -> Iterator[Sample]:
    for kind in samples.KINDS:
        yield Sample(f"stack {kind.name}", samples.ordinary(kind, 3, 5, 6), {"axis": 1})
    yield Sample("stack f32 along the last axis", samples.ordinary(F32, 2, 5, 6), {"axis": -1})


def _concat(*arrays: Values, axis: int) -> Values:
    return np.concatenate(arrays, axis=axis)


def _stack(*arrays: Values, axis: int) -> Values:
    return np.stack(arrays, axis=axis)


CONCAT = OPERATIONS.add(
    Operation(
        "concat",
        _forward_concat,
        samples=_samples_of_concat,
        operands=_made,
        expected=lambda sample: Expected(_concat(*sample.operands, **sample.options), None),
        gradient=Gradient(joint=_grad_concat),
        reference=_concat,
    )
)
STACK = OPERATIONS.add(
    Operation(
        "stack",
        _forward_stack,
        samples=_samples_of_stack,
        operands=_made,
        expected=lambda sample: Expected(_stack(*sample.operands, **sample.options), None),
        gradient=Gradient(joint=_grad_stack),
        reference=_stack,
    )
)
