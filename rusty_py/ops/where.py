"""`where`: elements of one array or another, as a mask says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype, Scalar
from rusty_py.errors import DtypeError
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.compute import compute
from rusty_py.ops.creation import asarray
from rusty_py.ops.generator import Body
from rusty_py.ops.row import array_places, placed
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device, default_device
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, broadcast


def where(condition: Array | ArrayLike, x: Array | ArrayLike, y: Array | ArrayLike, /) -> Array:
    """`x` where `condition` is true, else `y`; shapes broadcast, a number takes the other's dtype.

    condition: bool. Raises DtypeError for another condition and for dtypes that do not mix, ShapeError.
    """
    mask = condition if isinstance(condition, Array) else asarray(condition, device=device_of(x, y))
    if mask.layout.dtype is not BOOL:
        raise DtypeError(f"where: the condition is not bool: {mask.kind.name}: compare, as in x != 0")
    # Two arrays, or an array and a number, come first: every step costs each call.
    if isinstance(x, Array) and isinstance(y, Array):
        return apply(_WHERE, mask, x, y)
    if isinstance(x, Array) and isinstance(y, _NUMBERS):
        word = dtypes.scalar_word(y, x.layout.dtype, operation="where")
        return apply(_WHERE, mask, x, words=(word,), numbers=(2,))
    if isinstance(x, _NUMBERS) and isinstance(y, Array):
        word = dtypes.scalar_word(x, y.layout.dtype, operation="where")
        return apply(_WHERE, mask, y, words=(word,), numbers=(1,))
    if isinstance(x, _NUMBERS) and isinstance(y, _NUMBERS):
        kind = _of_both(x, y)
        words = tuple([dtypes.scalar_word(each, kind, operation="where") for each in (x, y)])
        return apply(_WHERE, mask, words=words, numbers=(1, 2), dtype=kind)
    x, y = (each if isinstance(each, _NUMBERS) else asarray(each, device=mask.device) for each in (x, y))
    return where(mask, x, y)


_NUMBERS = (float, int)  # Python's bools are ints.


def _of_both(x: Scalar, y: Scalar) -> Dtype:
    """The dtype of two numbers."""
    if isinstance(x, float) or isinstance(y, float):
        return F32
    return BOOL if isinstance(x, bool) and isinstance(y, bool) else I32


def _forward_where(
    mask: Array, *given: Any, numbers: tuple[int, ...] = (), dtype: Dtype | None = None
) -> Array:
    """`given` are x and y, of which `numbers` are words that follow the arrays; two take the `dtype`."""
    places = array_places(3, 3 - len(numbers), numbers)
    count = len(places) - 1
    x, y = placed(3, places, [mask, *given[:count]], given[count:])[1:]
    arrays = [each for each in (x, y) if isinstance(each, Array)]
    kind = dtype or arrays[0].kind
    for each in arrays[1:]:
        kind = dtypes.promoted(kind, each.kind, operation="where")
    x, y = (each.astype(kind, copy=False) if isinstance(each, Array) else each for each in (x, y))
    shape = broadcast(mask.shape, *(each.shape for each in arrays), operation="where")
    out = allocate(mask.device, shape, kind, operation="where")
    compute(choice(kind), (mask, x, y), out)
    return out


def _gradient_where(
    g: Array,
    _out: Array,
    mask: Array,
    *_given: object,
    wanted: Sequence[bool],
    numbers: tuple[int, ...] = (),
    dtype: Dtype | None = None,
) -> list[Array | None]:
    found: list[Array | None] = [None]
    for place, needed in zip(array_places(3, 3 - len(numbers), numbers)[1:], wanted[1:], strict=True):
        chosen = (g, 0.0) if place == 1 else (0.0, g)
        found.append(where(mask, *chosen) if needed else None)
    return found


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


_WHERE = OPERATIONS.add(
    Operation(
        "where",
        _forward_where,
        numpy=np.where,
        function=where,
        samples=_samples_of_where,
        operands=_operands_of_where,
        expected=partial(_exactly, np.where),
        gradient=Gradient(joint=_gradient_where, reads=(False, True, False, False)),
    )
)


def device_of(*operands: object) -> Device:
    """That of the first array; the default one where there is none."""
    arrays = [each for each in operands if isinstance(each, Array)]
    return arrays[0].device if arrays else default_device()
