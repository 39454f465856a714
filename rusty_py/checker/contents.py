"""What a kernel's buffers hold at the start: arrays, or descriptions of them like "f32[1000]"."""

import re
import zlib
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py.errors import DtypeError, LimitError, ShapeError

MAX_BYTES = 1 << 28

_DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
}
_SCALARS = {**_DTYPES, "i64": np.dtype(np.int64), "u64": np.dtype(np.uint64)}
"""naga knows two more."""
_WORDS = (np.dtype(np.uint32), np.dtype(np.uint8))
"""What may stand for any type, as its bytes."""


def array(values: ArrayLike | str, *, name: str, kind: str) -> NDArray[np.generic]:
    """The contents of a buffer: `values` row by row, or what they describe, for a variable of type `kind`.

    Arrays have the variable's dtype, or are u32 or u8 words of its bytes, or structured; lists of numbers are
    converted where the type says to what. Raises DtypeError, ShapeError, LimitError.
    """
    found = parse(values, name=name) if isinstance(values, str) else _array(values, name, kind)
    if found.nbytes > MAX_BYTES:
        raise LimitError(f"check: buffer {name}: too large: {found.nbytes} > {MAX_BYTES} bytes")
    if found.dtype.fields and not found.dtype.hasobject:
        return found
    allowed = [scalar_of(kind)] if scalar_of(kind) else list(_DTYPES.values())
    if found.dtype not in (*allowed, *_WORDS):
        wanted = " or ".join(str(each) for each in allowed)
        raise DtypeError(
            f"check: buffer {name}: not of the variable's type: {found.dtype} for {kind}: give {wanted}"
        )
    return found


def scalar_of(kind: str) -> np.dtype[np.generic] | None:
    """What a WGSL type consists of, as in array<vec4<f32>>; None for structures."""
    words = set(re.findall(r"\b[^\W\d]\w*", kind))
    scalars = words & _SCALARS.keys()
    others = [each for each in words - scalars if not re.fullmatch(r"array|atomic|vec\d|mat\dx\d", each)]
    return _SCALARS[scalars.pop()] if len(scalars) == 1 and not others else None


def _array(values: ArrayLike, name: str, kind: str) -> NDArray[np.generic]:
    try:
        found = np.asarray(values, order="C")
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"check: buffer {name}: no array: {error}") from error
    scalar = scalar_of(kind)
    if hasattr(values, "dtype") or found.dtype.kind not in "fiu" or scalar is None:
        return found.astype(found.dtype.newbyteorder("="), copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = found.astype(scalar)
    if scalar.kind in "iu" and not np.array_equal(converted, found):
        raise DtypeError(f"check: buffer {name}: numbers that are no {scalar}: {kind}")
    return converted


def parse(text: str, *, name: str, operation: str = "check") -> NDArray[np.generic]:
    """The array that `text` describes: f32[1000] or u32[4,3] of random values, or u32:8,0,1 of these.

    Floats are normal, integers any 32 bits; the same ones for the same name. Raises DtypeError, LimitError.
    """
    words = re.sub(r"\s*([\[\],:])\s*", r"\1", text.strip())
    shaped = re.fullmatch(r"(\w+)\[(\d{1,18}(?:,\d{1,18}){0,31})\]", words)
    found = shaped or re.fullmatch(r"(\w+):([^:]+)", words)
    dtype = _DTYPES.get(found[1]) if found else None
    if found is None or dtype is None:
        raise DtypeError(
            f"{operation}: buffer {name}: not understood: {text!r}: say f32[1000] or u32:8,0,1;"
            f" the types are {', '.join(_DTYPES)}"
        )
    numbers = found[2].split(",")
    if not shaped:
        return _listed(numbers, dtype, name, operation)
    shape = tuple(map(int, numbers))
    if prod(shape) * dtype.itemsize > MAX_BYTES:
        raise LimitError(f"{operation}: buffer {name}: too large: {text}: {MAX_BYTES} bytes at most")
    return _random(shape, dtype, name)


def _listed(
    numbers: list[str], dtype: np.dtype[np.generic], name: str, operation: str
) -> NDArray[np.generic]:
    try:
        values = [float(each) if dtype.kind == "f" else int(each, 0) for each in numbers]
        with np.errstate(over="ignore"):
            return np.array(values, dtype)
    except (ValueError, OverflowError) as error:
        raise DtypeError(f"{operation}: buffer {name}: no values of {dtype}: {', '.join(numbers)}") from error


def _random(shape: tuple[int, ...], dtype: np.dtype[np.generic], name: str) -> NDArray[np.generic]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype.name)
    return generator.integers(limits.min, limits.max, shape, dtype.name, endpoint=True)
