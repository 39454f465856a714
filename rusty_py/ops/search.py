"""`searchsorted`: where queries belong in sorted elements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import ELEMENTS, F32, I32, Dtype
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops.creation import asarray, full
from rusty_py.ops.grid import groups_for
from rusty_py.ops.sort.specs import search_spec
from rusty_py.oracle import Expected
from rusty_py.runtime.launch import Spec, launch
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape

_STEPS = 40  # Of a search: one a bit of the length.


def searchsorted(
    x1: Array | ArrayLike,
    x2: Array | ArrayLike,
    /,
    *,
    side: str = "left",
    sorter: Array | ArrayLike | None = None,
) -> Array:
    """The index in `x1` before which each element of `x2` belongs, as int32.

    x1: (n,), sorted in ascending order, NaN last; or `sorter`, (n,) of integers, sorts it, as `argsort` does.
    x2: of any shape, or a number. With side="right", the index is after elements that are equal. Indices in
    `sorter` that are out of range stand for the last element. Raises ShapeError, DtypeError, LimitError.
    """
    if side not in ("left", "right"):
        raise ShapeError(f'searchsorted: side is "left" or "right": got {side!r}')
    if not isinstance(x2, Array) and isinstance(x2, bool | int | float):
        x1 = asarray(x1)
        x2 = asarray(x2, dtype=x1.kind, device=x1.device)
    arrays = (x1, x2) if sorter is None else (x1, x2, sorter)
    return apply(SEARCHSORTED, *arrays, side=side)


def _forward(x: Array, queries: Array, sorter: Array | None = None, *, side: str = "left") -> Array:
    if x.ndim != 1:
        raise ShapeError(f"searchsorted: x1 has one axis: shape {x.shape}; search its rows one by one")
    kind = dtypes.promoted(x.kind, queries.kind, operation="searchsorted")
    n = x.size
    if sorter is not None and sorter.shape != x.shape:
        raise ShapeError(f"searchsorted: shapes differ: x1 is {x.shape}, sorter is {sorter.shape}")
    if sorter is not None and sorter.kind.kind not in "iu":
        raise DtypeError(f"searchsorted: sorter is of integers: got {sorter.kind.name}")
    if not n or not queries.size:
        return full(queries.shape, 0, dtype=I32, device=x.device)
    x, queries = x.astype(kind, copy=False), queries.astype(kind, copy=False)
    queries = queries if queries.contiguous else queries.copy()
    sorters = [] if sorter is None else [sorter if sorter.contiguous else sorter.copy()]
    out = allocate(x.device, queries.shape, I32, operation="searchsorted")
    starts = (x.offset, x.strides[0] & 0xFFFFFFFF, queries.offset, sorters[0].offset if sorters else 0)
    launch(
        x.device,
        search_spec(kind, sorter=bool(sorters)),
        inputs=[each.buffer for each in (x, queries, *sorters)],
        outputs=[out.buffer],
        uniforms=(out.size, n, *starts, int(side == "right")),
        workgroups=(groups_for(x.device, out.size, operation="searchsorted", steps=_STEPS), 1, 1),
        flops=out.size * n.bit_length(),
    )
    return out


def _samples() -> Iterator[Sample]:
    """Each dtype."""
    for kind in samples.KINDS:
        x, queries = _operands(kind, (20,), seed=1)
        yield Sample(f"searchsorted {kind.name}", (np.sort(x), queries))


def _operands(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    (x,) = samples.with_specials(kind, 1, 2 * shape[-1], 4, seed=seed)
    queries = samples.values(kind, 3, 7, seed=seed + 1)
    queries[0] = x[:7, 0]
    return x.reshape(-1), queries


def _expected(sample: Sample) -> Expected:
    x, queries = sample.operands
    return Expected(np.searchsorted(x, queries).astype(np.int32), None)


SEARCHSORTED = OPERATIONS.add(
    Operation(
        "searchsorted",
        _forward,
        numpy=np.searchsorted,
        function=searchsorted,
        samples=_samples,
        operands=_operands,
        expected=_expected,
        gradient="indices are integers, and change in steps",
    )
)


def variants() -> list[Spec]:
    """Every kernel that can be launched here but for sorters, of which there is one."""
    found = [search_spec(kind, sorter=False) for kind in ELEMENTS.values()]
    return [*found, search_spec(F32, sorter=True)]
