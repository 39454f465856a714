"""The one comparison of a product with float64, and the launches of one kernel."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import ArrayLike

from rusty_py import Device, oracle
from rusty_py.dtypes import F32
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout
from rusty_py.gemm.select import Tile, kernel_of
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import Launch, prepare
from rusty_py.runtime.pool import Allocation


def assert_product(c: np.ndarray, a: ArrayLike, b: ArrayLike) -> None:
    """`c` is a @ b in NumPy's shape, within what float32 rounding allows each element."""
    a32, b32 = np.asarray(a, np.float32), np.asarray(b, np.float32)
    expected = np.matmul(a32, b32)
    assert type(c) is type(expected)
    assert (c.shape, c.dtype) == (expected.shape, np.float32)
    assert_within(c, *oracle.matmul(a32, b32, dtype=F32))


def assert_within(c: np.ndarray, reference: np.ndarray, bound: np.ndarray) -> None:
    """No element of `c` is further from its reference than its bound."""
    assert c.shape == reference.shape
    wrong = ~(np.abs(c - reference) <= bound)
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size} outside the bound, first {np.argwhere(wrong)[0]}"


@contextmanager
def poison(device: Device) -> Iterator[None]:
    """Memory that is fresh meanwhile holds NaN: what is not written shows, and what must not be read."""
    take = device.pool.take

    def poisoned(size: int) -> Allocation:
        memory = take(size)
        device.transfer.upload(memory, np.full(size, 0xFF, np.uint8))
        return memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device.pool, "take", poisoned)
        yield


def uniform(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers in [-1, 1)."""
    return np.random.default_rng(seed).random(shape, np.float32) * 2 - 1


def launches(
    device: Device,
    a: Buffer,
    b: Buffer,
    c: Buffer,
    *,
    m: int,
    k: int,
    n: int,
    tile: Tile = "naive",
    accumulate: bool = False,
) -> list[Launch]:
    """The launches of c = a @ b, or c += a @ b, by the kernel of `tile`; matrices that lie row by row."""
    plan = GemmPlan(GemmProblem(m, k, n), kernel_of(tile))
    operands = Operands(a, b, c, MatrixLayout(0, 0, k, 1), MatrixLayout(0, 0, n, 1), MatrixLayout(0, 0, n, 1))
    return [
        prepare(device, **each._asdict())
        for each in dispatches(device, plan, operands, accumulate=accumulate)
    ]
