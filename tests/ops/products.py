"""The one comparison of a product with float64."""

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle
from rusty_py.dtypes import F32


def assert_product(c: np.ndarray, a: ArrayLike, b: ArrayLike) -> None:
    """`c` is a @ b in NumPy's shape, within what float32 rounding allows each element."""
    a32, b32 = np.asarray(a, np.float32), np.asarray(b, np.float32)
    expected = np.matmul(a32, b32)
    assert type(c) is type(expected)
    assert (c.shape, c.dtype) == (expected.shape, np.float32)
    reference, bound = oracle.matmul(a32, b32, dtype=F32)
    wrong = ~(np.abs(c - reference) <= bound)
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size} outside the bound, first {np.argwhere(wrong)[0]}"


def uniform(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers in [-1, 1)."""
    return np.random.default_rng(seed).random(shape, np.float32) * 2 - 1
