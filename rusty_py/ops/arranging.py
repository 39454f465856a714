"""The elements of an array in other places: `roll`, `pad`, `tril` and `triu`, with a kernel each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype, Scalar
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply, public
from rusty_py.ops import generator
from rusty_py.ops.compute import compute
from rusty_py.ops.conversions import cast
from rusty_py.ops.creation import ARANGE, asarray
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.oracle import Expected
from rusty_py.runtime.launch import Spec
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_of, integer_of, integers_of

_FILLED = 1 << 18
"""Up to as many elements a padded array is filled as a whole, in one launch, and its border is not."""

Width = int | Sequence[int] | Sequence[Sequence[int]]
Widths = tuple[tuple[int, int], ...]


@public
def roll(
    x: Array | ArrayLike, /, shift: int | Sequence[int], axis: int | Sequence[int] | None = None
) -> Array:
    """`x` with its elements moved by `shift` places along `axis`; those beyond the end come in front.

    None rolls the flattened elements. Several axes take a shift each, or all the same.
    Raises ShapeError.
    """
    array = asarray(x)
    if axis is None:
        return roll(array.reshape(-1), shift, 0).reshape(array.shape)
    axes = integers_of(axis, "an axis", operation="roll")
    shifts = integers_of(shift, "a shift", operation="roll")
    if not isinstance(shift, Sequence | np.ndarray):
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: a shift for each axis: {len(shifts)} shifts, {len(axes)} axes")
    total = [0] * array.ndim
    for each, by in zip(axes, shifts, strict=True):
        total[axis_of(each, array.ndim, operation="roll")] += by
    places = tuple(by % size if size else 0 for by, size in zip(total, array.shape, strict=True))
    return apply(ROLL, array, shifts=places)


@public
def pad(x: Array | ArrayLike, /, pad_width: Width, *, constant_values: Scalar = 0) -> Array:
    """`x` with `constant_values` around it.

    pad_width: how many elements before and after each axis: (before, after) for each axis, one such pair for
    all, or one number for all. Raises ShapeError, DtypeError for a constant that x's dtype does not hold.
    """
    array, value = asarray(x), constant_values
    if isinstance(value, np.generic | np.ndarray) and not value.ndim:
        value = value.item()
    if not isinstance(value, bool | int | float):
        raise DtypeError(f"pad: the constant is a number: {value!r}")
    if array.kind is BOOL and value in (0, 1) and not isinstance(value, float):
        value = bool(value)
    word = dtypes.scalar_word(value, array.kind, operation="pad")
    return apply(PAD, array, words=(word,), widths=_widths(pad_width, array.ndim))


def tril(x: Array | ArrayLike, /, *, k: int = 0) -> Array:
    """The lower triangles of the matrices `x`: zero above the `k`-th diagonal, which counts upwards.

    x: (..., m, n). Raises ShapeError for fewer than two axes.
    """
    return apply(TRIL, x, k=_diagonal(k, operation="tril"))


def triu(x: Array | ArrayLike, /, *, k: int = 0) -> Array:
    """The upper triangles of the matrices `x`: zero below the `k`-th diagonal, which counts upwards.

    x: (..., m, n). Raises ShapeError for fewer than two axes.
    """
    return apply(TRIU, x, k=_diagonal(k, operation="triu"))


def _diagonal(k: int, *, operation: str) -> int:
    """`k`, or the last diagonal on its side that a kernel can name: no matrix has that many."""
    return max(-(1 << 31), min(integer_of(k, "k", operation=operation), (1 << 31) - 1))


def _widths(pad_width: Width, ndim: int) -> Widths:
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        raise ShapeError(f"pad: a pair of widths for each of {ndim} axes: {pad_width}") from None
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ShapeError(f"pad: widths are integers, not negative: {pad_width}")
    return tuple((int(before), int(after)) for before, after in pairs)


def _forward_roll(x: Array, *, shifts: Shape) -> Array:
    out = allocate(x.device, x.shape, x.kind, operation="roll")
    # Along each axis, what stays before the end and what comes in front.
    ways = [
        [(slice(None, size - by), slice(by, None)), (slice(size - by, None), slice(None, by))]
        if by
        else [(slice(None), slice(None))]
        for size, by in zip(x.shape, shifts, strict=True)
    ]
    for way in product(*ways):
        source, target = (tuple(each) for each in zip(*way, strict=True)) if way else ((), ())
        compute(cast(x.kind, x.kind), (x[source],), out[target], fresh=False)
    return out


def _forward_pad(x: Array, word: int = 0, *, widths: Widths) -> Array:
    shape = tuple(before + size + after for size, (before, after) in zip(x.shape, widths, strict=True))
    out = allocate(x.device, shape, x.kind, operation="pad")
    inside = _inside(shape, widths)
    if out.size <= _FILLED:
        compute(cast(x.kind, x.kind), (word,), out)
        widths = ()
    for i, (before, after) in enumerate(widths):  # The border of axis i, within those of the axes before it.
        edges = (slice(None, before) if before else None, slice(shape[i] - after, None) if after else None)
        for edge in filter(None, edges):
            compute(cast(x.kind, x.kind), (word,), out[(*inside[:i], edge)], fresh=False)
    compute(cast(x.kind, x.kind), (x,), out[inside], fresh=False)
    return out


def _inside(shape: Shape, widths: Widths) -> tuple[slice, ...]:
    """Where the array is in one of `shape` that was padded."""
    return tuple(slice(before, size - after) for size, (before, after) in zip(shape, widths, strict=True))


def _forward_triangle(name: str, x: Array, *, k: int) -> Array:
    if x.ndim < 2:
        raise ShapeError(f"{name}: needs 2 axes or more: shape {x.shape}")
    device, (rows, cols) = x.device, x.shape[-2:]
    out = allocate(device, x.shape, x.kind, operation=name)
    numbered = [ARANGE.forward(0, 1, device=device, size=size, dtype=I32) for size in (rows, cols)]
    compute(_triangle(name, x.kind), (x, numbered[0].reshape(rows, 1), numbered[1], k & 0xFFFFFFFF), out)
    return out


def _triangle(name: str, kind: Dtype) -> Body:
    """`x` where it is on the kept side of diagonal u; its row is y, its column z."""
    word = "f16" if kind is F16 else "u32"
    kept = "z - y <= u" if name == "tril" else "z - y >= u"
    types = (word, "i32", "i32", "i32")
    return Body(f"{name} {word}", types, word, f"select({word}(0), x, {kept})")


def _grad_roll(g: Array, _out: Array, _x: Array, *, shifts: Shape) -> Array:
    back = tuple(-by % size if size else 0 for by, size in zip(shifts, g.shape, strict=True))
    return apply(ROLL, g, shifts=back)


def _grad_pad(g: Array, _out: Array, _x: Array, _word: int = 0, *, widths: Widths) -> Array:
    return g[_inside(g.shape, widths)]


def _numpy_roll(x: Values, *, shifts: Shape) -> Values:
    return np.roll(x, shifts, axis=tuple(range(x.ndim)))


def _numpy_pad(x: Values, *, widths: Widths) -> Values:
    return np.pad(x, widths)


def _add(
    name: str,
    forward: Callable[..., Array],
    reference: Callable[..., Values],
    gradient: Callable[..., Array],
    options: Sequence[dict[str, Any]],
    function: Callable[..., Array] | None = None,
) -> Operation:
    """Registers an operation of one array whose elements stay as they are; `options` are to try it with."""

    def each_dtype() -> Iterator[Sample]:
        for kind in samples.KINDS:
            for i, each in enumerate(options):
                yield Sample(f"{name} {kind.name} {i}", made(kind, (6, 12), seed=i), each)

    def made(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
        return samples.ordinary(kind, 1, *shape, seed=seed)

    return OPERATIONS.add(
        Operation(
            name,
            forward,
            numpy=reference if function else None,
            function=function,
            samples=each_dtype,
            operands=made,
            expected=lambda sample: Expected(reference(*sample.operands, **sample.options), None),
            gradient=Gradient(gradient),
            reference=reference,
        )
    )


ROLL = _add("roll", _forward_roll, _numpy_roll, _grad_roll, [{"shifts": (4, 7)}, {"shifts": (0, 4)}])
PAD = _add(
    "pad",
    _forward_pad,
    _numpy_pad,
    _grad_pad,
    [{"widths": ((2, 1), (0, 6))}, {"widths": ((0, 3), (4, 4))}],
)
TRIL, TRIU = (
    _add(
        name,
        partial(_forward_triangle, name),
        reference,
        lambda g, _out, _x, *, k, name=name: apply(OPERATIONS[name], g, k=k),
        [{"k": 0}, {"k": -2}, {"k": 3}],
        function,
    )
    for name, reference, function in (("tril", np.tril, tril), ("triu", np.triu, triu))
)


def variants() -> list[Spec]:
    """The kernels of triangles; all others here are copies."""
    skeleton = Skeleton("general", 4, ("vec4", "one", "vec4", "number"))
    return [
        generator.spec(_triangle(name, kind), skeleton) for name in ("tril", "triu") for kind in (F32, F16)
    ]
