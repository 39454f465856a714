"""`diff`: differences of neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import BOOL, F16, F32, Dtype
from rusty_py.errors import ShapeError
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.arranging import pad
from rusty_py.ops.creation import asarray
from rusty_py.ops.joining import concat
from rusty_py.ops.views import broadcast_to
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_key, axis_of, integer_of


def diff(
    x: Array | ArrayLike,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Array | ArrayLike | None = None,
    append: Array | ArrayLike | None = None,
) -> Array:
    """`x[i + 1] - x[i]` along `axis`, `n` times over; of bools, whether they differ.

    `prepend` and `append` are joined to `x` along `axis` first; without axes they count as one element each
    of its lines. The axis of the result has `n` elements fewer, or none. Unsigned integers wrap around.
    Raises ShapeError, DtypeError for dtypes that do not mix, LimitError, OutOfMemory.
    """
    if prepend is not None or append is not None:
        x = _joined(x, prepend, append, axis)
    times = integer_of(n, "the number of differences", operation="diff")
    return apply(DIFF, x, axis=axis_key(axis, operation="diff"), n=times)


def _joined(
    x: Array | ArrayLike, prepend: Array | ArrayLike | None, append: Array | ArrayLike | None, axis: int
) -> Array:
    """`x` between what comes before and after it."""
    array = asarray(x)
    index = axis_of(axis, array.ndim, operation="diff")
    line = (*array.shape[:index], 1, *array.shape[index + 1 :])
    parts = []
    for each in (prepend, array, append):
        if each is not None:
            kind = array.kind if isinstance(each, int | float) else None
            end = asarray(each, dtype=kind, device=array.device)
            parts.append(end if end.ndim else broadcast_to(end, line))
    return concat(parts, axis=index)


def _forward(x: Array, *, axis: int = -1, n: int = 1) -> Array:
    index = axis_of(axis, x.ndim, operation="diff")
    if n < 0:
        raise ShapeError(f"diff: the number of differences is not negative: {n}")
    given, before = x, (slice(None),) * index
    for _ in range(min(n, x.shape[index])):  # Then there is nothing left.
        after, first = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = after != first if x.kind is BOOL else after - first
    return x if x is not given else x.copy()


def _gradient(g: Array, _out: Layout, _x: Layout, *, axis: int = -1, n: int = 1) -> Array | None:
    """An element is added to a difference, and subtracted from the next: those of g between zeros."""
    if not _out.size:
        return None
    index = axis_of(axis, g.ndim, operation="gradient")
    widths = [(int(each == index),) * 2 for each in range(g.ndim)]
    for _ in range(n):
        g = -diff(pad(g, widths), axis=index)
    return g


def _samples() -> Iterator[Sample]:
    for kind in samples.KINDS:
        x = samples.values(kind, 5, 12)
        yield Sample(f"diff {kind.name}", (x,), {"axis": 0, "n": 1})
        if kind is F32:
            yield Sample("diff f32, three times", (x,), {"axis": 1, "n": 3})


def _operands(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return samples.ordinary(kind, 1, *shape, seed=seed)


def _expected(sample: Sample) -> Expected:
    (x,), n = sample.operands, sample.options["n"]
    if x.dtype.kind != "f":
        with np.errstate(over="ignore"):
            return Expected(np.diff(x, **sample.options), None)
    # Each of n differences rounds once, what is at most 2^n times the largest element.
    kind = F16 if x.dtype == F16.numpy else F32
    reference = np.diff(x.astype(np.float64), **sample.options)
    largest = np.full(reference.shape, float(2**n * np.abs(x).max()))
    return Expected(reference, oracle.rounding(largest, ulps=0.5 * n, dtype=kind))


DIFF = OPERATIONS.add(
    Operation(
        "diff",
        _forward,
        numpy=np.diff,
        function=diff,
        samples=_samples,
        operands=_operands,
        expected=_expected,
        gradient=Gradient(_gradient),
    )
)
