"""What a kernel's buffers hold at the start: arrays, or descriptions of them like "f32[1000]"."""

import re
import zlib
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py.errors import DtypeError, LimitError

MOST_BYTES = 1 << 28

_DTYPES = {"f32": np.float32, "f16": np.float16, "i32": np.int32, "u32": np.uint32}


def array(values: ArrayLike | str, *, name: str, wide: bool) -> NDArray[np.generic]:
    """The contents of a buffer: `values` row by row, or what they describe. Raises DtypeError, LimitError.

    `wide`: whether the kernel has numbers of 64 bits. Python's lists become such, and few kernels mean it.
    """
    if isinstance(values, str):
        return parse(values, name=name)
    found = np.asarray(values, order="C")
    if found.dtype.kind not in "fiub" and not found.dtype.fields:
        raise DtypeError(f"check: buffer {name}: numbers, or a structure of them: got {found.dtype}")
    if found.dtype.kind in "fiu" and found.itemsize > 4 and not wide:
        raise DtypeError(f"check: buffer {name}: the kernel has no {found.dtype}: convert it with .astype")
    if found.nbytes > MOST_BYTES:
        raise LimitError(f"check: buffer {name}: too large: {found.nbytes} > {MOST_BYTES} bytes")
    return found


def parse(text: str, *, name: str) -> NDArray[np.generic]:
    """The array that `text` describes: f32[1000] or u32[4,3] of random values, or u32:8,0,1 of these.

    Floats are normal, integers any 32 bits; the same ones for the same name. Raises DtypeError, LimitError.
    """
    words = text.replace(" ", "")
    shaped = re.fullmatch(r"(\w+)\[(\d+(?:,\d+)*)\]", words)
    found = shaped or re.fullmatch(r"(\w+):([^:]+)", words)
    dtype = _DTYPES.get(found[1]) if found else None
    if found is None or dtype is None:
        raise DtypeError(
            f"check: buffer {name}: not understood: {text!r}: say f32[1000] or u32:8,0,1;"
            f" the types are {', '.join(_DTYPES)}"
        )
    numbers = found[2].split(",")
    if not shaped:
        return _listed(numbers, np.dtype(dtype), name)
    shape = tuple(map(int, numbers))
    if prod(shape) * np.dtype(dtype).itemsize > MOST_BYTES:
        raise LimitError(f"check: buffer {name}: too large: {text}: {MOST_BYTES} bytes at most")
    return _random(shape, np.dtype(dtype), name)


def _listed(numbers: list[str], dtype: np.dtype[np.generic], name: str) -> NDArray[np.generic]:
    try:
        return np.array([float(each) if dtype.kind == "f" else int(each, 0) for each in numbers], dtype)
    except (ValueError, OverflowError) as error:
        raise DtypeError(f"check: buffer {name}: no values of {dtype}: {', '.join(numbers)}") from error


def _random(shape: tuple[int, ...], dtype: np.dtype[np.generic], name: str) -> NDArray[np.generic]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype.name)
    return generator.integers(limits.min, limits.max, shape, dtype.name, endpoint=True)
