"""The element types kernels compute in: one row says what NumPy, WGSL and the error bounds need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import DtypeError


@dataclass(frozen=True)
class Dtype:
    """An element type. `eps` is the distance from 1.0 to the next number, as in NumPy."""

    name: str
    numpy: np.dtype[np.float32]
    wgsl: str
    itemsize: int
    eps: float


F32 = Dtype("f32", np.dtype(np.float32), "f32", 4, 2.0**-23)

DTYPES = {F32.name: F32}


def parse(name: str, *, operation: str) -> Dtype:
    """The dtype called `name` ("f32"). Raises DtypeError for any other."""
    if name not in DTYPES:
        raise DtypeError(f"{operation}: unknown dtype: {name!r}; choose one of {', '.join(DTYPES)}")
    return DTYPES[name]


def cast(x: NDArray[np.generic], dtype: str | None, *, operation: str) -> NDArray[np.float32]:
    """`x` in the dtype the operation computes in, C-contiguous; a copy only where one is needed.

    Without `dtype`, float32 alone is taken: float64 and integers would lose digits silently.
    """
    if dtype is None:
        if x.dtype.kind != "f" or x.dtype.itemsize != 4:
            raise DtypeError(
                f"{operation}: computes in float32, got {x.dtype}: pass dtype='f32' to compute in float32"
            )
        target = F32
    else:
        target = parse(dtype, operation=operation)
        if not np.can_cast(x.dtype, target.numpy, "same_kind"):
            raise DtypeError(f"{operation}: cannot turn {x.dtype} into {target.name}")
    return np.ascontiguousarray(x, dtype=target.numpy)
