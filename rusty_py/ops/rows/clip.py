"""Values within limits, each of which may be missing, a number, or an array."""

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype, Scalar
from rusty_py.operation import apply
from rusty_py.ops.creation import asarray
from rusty_py.ops.elementwise import define
from rusty_py.ops.row import Row
from rusty_py.ops.rows.arithmetic import maximum
from rusty_py.ops.where import device_of, where

Limit = Array | ArrayLike | Scalar | None


def clip(x: Array | ArrayLike, /, min: Limit = None, max: Limit = None) -> Array:
    """`x` where it is between `min` and `max`, else the nearer of them: for f32, f16, i32, u32.

    Each limit is a number, or an array whose shape broadcasts; None is no limit. Where `min` exceeds `max`,
    the result is `max`. NaN propagates from all three. Raises DtypeError, ShapeError, LimitError,
    OutOfMemory; DeviceError for arrays of two devices.
    """
    if not isinstance(x, Array):
        x = asarray(x, device=device_of(min, max))
    kind = x.layout.dtype
    if isinstance(min, _NUMBERS) and isinstance(max, _NUMBERS):  # As most are: every step costs each call.
        ends = (_word(min, kind, last=False), _word(max, kind, last=True))
        return apply(_CLIP, x, words=ends, numbers=(1, 2))
    given, words, numbers = [x], [], []
    limits: list[Scalar | Array | None] = []
    for limit in (min, max):
        if isinstance(limit, _NUMBERS):
            limits.append(limit)
        else:
            array = asarray(limit, device=x.device)
            kind = dtypes.promoted(kind, array.kind, operation="clip")
            limits.append(array)
    for i, limit in enumerate(limits, 1):
        if isinstance(limit, Array):
            given.append(limit)
        else:
            words.append(_word(limit, kind, last=i == 2))
            numbers.append(i)
    return apply(_CLIP, *given, words=tuple(words), numbers=tuple(numbers))


_NUMBERS = (float, int, type(None))  # Python's bools are ints.


def _word(limit: Scalar | None, kind: Dtype, *, last: bool) -> int:
    """That of the number, or of the lowest or highest one of the dtype."""
    if limit is None:
        limit = _ENDS.get(kind.kind, (False, True))[last]
    return dtypes.scalar_word(limit, kind, operation="clip")


_ENDS: dict[str, tuple[Scalar, Scalar]] = {
    "f": (-np.inf, np.inf),
    "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1),
}
"""The lowest and the highest number, by NumPy's letter of a dtype."""


def _gradient_of_x(g: Array, _out: Array, x: Array, y: Array, z: Array) -> Array:
    return where((x >= y) & (x <= z), g, 0.0)


def _gradient_of_min(g: Array, _out: Array, x: Array, y: Array, z: Array) -> Array:
    return where((x < y) & (maximum(x, y) <= z), g, 0.0)


def _gradient_of_max(g: Array, _out: Array, x: Array, y: Array, z: Array) -> Array:
    return where(maximum(x, y) > z, g, 0.0)


_CLIP = define(
    Row(
        "clip",
        "select(select(select(min(max(x, y), z), z, is_nan(z)), y, is_nan(y)), x, is_nan(x))",
        np.clip,
        ulps=0,
        arity=3,
        f16_in_f32=True,
        by_dtype={"i32": "min(max(x, y), z)", "u32": "min(max(x, y), z)"},
        operands=samples.with_specials,
        smooth=samples.apart,
        gradient=(_gradient_of_x, _gradient_of_min, _gradient_of_max),
    ),
    clip,
)
