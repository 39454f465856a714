"""Norms of vectors: of order 2 by a monoid of its own, of others by sums and extremes of magnitudes."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F32, Dtype
from rusty_py.errors import DtypeError, UnsupportedError
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.generator import Body
from rusty_py.ops.reduce import bounds, gradients
from rusty_py.ops.reduce.kernels import Form, spec
from rusty_py.ops.reduce.monoid import Monoid
from rusty_py.ops.reduce.operations import reduced, register, stage_of
from rusty_py.ops.reduce.reduction import REDUCTIONS, Axis, Reduction
from rusty_py.ops.reduce.source import Source, source_of
from rusty_py.ops.rows import reductions
from rusty_py.runtime.launch import Spec
from rusty_py.samples import Sample
from rusty_py.views import axis_key

assert reductions  # Their rows are registered.


def vector_norm(
    x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False, ord: float = 2
) -> Array:
    """The norm of the vectors along `axis`, of all elements where it is None.

    ord: 2, the root of the sum of squares; 1, the sum of magnitudes; inf and -inf, the largest and the
    smallest magnitude; 0, the number of elements other than zero. For f32 and f16, which is computed in f32:
    squares overflow above 1.8e19. The gradient of the 2-norm is zero at 0; that of inf and -inf is split
    evenly between equal magnitudes. Raises UnsupportedError for another ord, DtypeError, ShapeError.
    """
    order = ord if isinstance(ord, int | float | np.number) else str(ord)  # As a key of plans.
    return apply(_NORM, x, axis=axis_key(axis, operation="vector_norm"), keepdims=keepdims, ord=order)


_EUCLIDEAN = Reduction(
    "vector_norm",
    np.linalg.vector_norm,
    Monoid({"": "a + b"}, {"": "0.0"}, value={"": "x * x"}, finish="sqrt(x)"),
    "f",
    of_nothing=0,
    bound=bounds.norm,
    gradient=gradients.of_vector_norm,
)
_NORMS = {
    2: _EUCLIDEAN,
    **{
        order: replace(REDUCTIONS[name], name="vector_norm")
        for order, name in ((1, "sum"), (inf, "max"), (-inf, "min"), (0, "count_nonzero"))
    },
}


_OF_MAGNITUDES = (1, inf, -inf)


def _magnitude(kind: Dtype) -> Body:
    return Body(f"abs {kind.name}", (kind.wgsl,), kind.wgsl, "abs(x)")


def _forward_norm(x: Array, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    if x.kind.kind != "f":
        raise DtypeError(f'vector_norm: not for {x.kind.name}: convert with .astype("f32")')
    if ord not in _NORMS:
        orders = ", ".join(map(str, _NORMS))
        raise UnsupportedError(
            f"vector_norm: no such order: {ord}: choose one of {orders}, or (abs(x) ** p).sum() ** (1 / p)"
        )
    source = Source(_magnitude(x.kind), x.kind, (x,), x.shape) if ord in _OF_MAGNITUDES else source_of(x)
    return reduced(_NORMS[ord], source, axis=axis, keepdims=keepdims).astype(x.kind, copy=False)


def _samples_of_norm() -> Iterator[Sample]:
    yield from _EUCLIDEAN.samples()
    for order in (0, 1, inf, -inf):
        x = samples.values(F32, 5, 67)
        yield Sample(f"vector_norm {order}", (x,), {"axis": 0, "ord": order})


_NORM = OPERATIONS.add(
    replace(register(_EUCLIDEAN, vector_norm), forward=_forward_norm, samples=_samples_of_norm)
)


def variants() -> list[Spec]:
    """The kernels of the samples that are not the row's."""
    found = []
    for order, row in _NORMS.items():
        if order != 2:
            stage = stage_of(row, F32)
            stage = replace(stage, body=_magnitude(F32)) if order in _OF_MAGNITUDES else stage
            found.append(spec(stage, Form("threads", ("scalar",))))
    return found
