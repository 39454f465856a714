"""`where`: elements of one array or another, as a mask says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, Dtype, Scalar
from rusty_py.errors import DtypeError
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.compute import compute
from rusty_py.ops.creation import asarray, full
from rusty_py.ops.generator import Body
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device, default_device
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, broadcast


def where(condition: Array | ArrayLike, x: Array | ArrayLike, y: Array | ArrayLike, /) -> Array:
    """`x` where `condition` is true, else `y`; shapes broadcast, a number takes the other's dtype.

    condition: bool. Raises DtypeError for another condition and for dtypes that do not mix, ShapeError.
    """
    device = device_of(condition, x, y)
    mask = asarray(condition, device=device)
    if mask.kind is not BOOL:
        raise DtypeError(f"where: the condition is not bool: {mask.kind.name}: compare, as in x != 0")
    return apply(OPERATIONS["where"], mask, *_choices(x, y, device))


def _forward_where(mask: Array, x: Array, y: Array) -> Array:
    kind = dtypes.promoted(x.kind, y.kind, operation="where")
    x, y = x.astype(kind, copy=False), y.astype(kind, copy=False)
    shape = broadcast(mask.shape, x.shape, y.shape, operation="where")
    out = allocate(mask.device, shape, kind, operation="where")
    compute(choice(kind), (mask, x, y), out)
    return out


def choice(kind: Dtype) -> Body:
    """The expression of y where the mask x is not 0, else z."""
    word = "f16" if kind is F16 else "u32"
    return Body(f"where {word}", ("u32", word, word), word, "select(z, y, x != 0u)")


def _samples_of_where() -> Iterator[Sample]:
    for kind in samples.KINDS:
        mask = samples.values(BOOL, 6, 10)
        yield Sample(f"where {kind.name}", (mask, *samples.ordinary(kind, 2, 6, 10)))


def _operands_of_where(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return samples.values(BOOL, *shape, seed=seed), *samples.ordinary(kind, 2, *shape, seed=seed)


def _exactly(function: Callable[..., Values], sample: Sample) -> Expected:
    return Expected(np.asarray(function(*sample.operands)), None)


OPERATIONS.add(
    Operation(
        "where",
        _forward_where,
        numpy=np.where,
        function=where,
        samples=_samples_of_where,
        operands=_operands_of_where,
        expected=partial(_exactly, np.where),
        gradient=Gradient(
            None,
            lambda g, _out, mask, _x, _y: where(mask, g, 0.0),
            lambda g, _out, mask, _x, _y: where(mask, 0.0, g),
        ),
    )
)


def device_of(*operands: object) -> Device:
    """That of the first array; the default one where there is none."""
    arrays = [each for each in operands if isinstance(each, Array)]
    return arrays[0].device if arrays else default_device()


def _choices(x: object, y: object, device: Device) -> tuple[Array, Array]:
    """Both as arrays of one dtype."""
    if isinstance(x, bool | int | float) and isinstance(y, bool | int | float):
        numbers = asarray([x, y], device=device)
        return numbers[0], numbers[1]
    if isinstance(x, bool | int | float):
        right = asarray(y, device=device)
        return _beside(x, right), right
    left = asarray(x, device=device)
    if isinstance(y, bool | int | float):
        return left, _beside(y, left)
    return left, asarray(y, device=device)


def _beside(number: Scalar, x: Array) -> Array:
    dtypes.scalar_word(number, x.kind, operation="where")  # Says what is wrong in this operation's name.
    return full((), number, dtype=x.kind, device=x.device)
