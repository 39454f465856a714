"""Proof before speed: a matrix product is checked element by element before and after it is timed.

Where float64 is affordable every element is compared with it. Beyond that, small integers are
multiplied: their sums are exact in float32, so that Freivalds' test, with a few random vectors, tests
equality; with float inputs it could not see one wrong element among the rounding errors. The rows that
are then sampled with float inputs see errors that integers do not, such as a kernel in lower precision.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.bench.case import Proof
from rusty_py.dtypes import F32
from rusty_py.errors import LimitError

POISON = 0xFFFF_A5A5  # A NaN that no arithmetic makes.
FULL_FLOPS = 2**31  # Up to here (1024 cubed), every element against float64.
_ROWS = 32

Product = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Poisons the output, multiplies on the device, reads the result back."""


class MatmulExam:
    """The inputs of one m x k x n problem and what its product must be; serves all kernels."""

    def __init__(
        self, m: int, k: int, n: int, *, rng: np.random.Generator, full_flops: int = FULL_FLOPS
    ) -> None:
        self.m, self.k, self.n = m, k, n
        self.a = _uniform(rng, (m, k))
        self.b = _uniform(rng, (k, n))
        self._rng = rng
        self.full = 2 * m * k * n <= full_flops
        if self.full:
            self.rows = np.arange(m)
            self.method = "every element against float64"
        else:
            edges = {0, m - 1}
            picked = rng.choice(m, size=min(m, _ROWS), replace=False)
            self.rows = np.array(sorted(edges | set(picked.tolist())))
            self.method = (
                f"every element by exact integers (Freivalds, {_test_vectors(n)[1]} vectors),"
                f" {len(self.rows)} rows against float64"
            )
        self._reference, self._bound = oracle.matmul(self.a[self.rows], self.b, dtype=F32, centred=True)

    def prove(self, product: Product) -> tuple[Proof, NDArray[np.float32]]:
        """The proof of `product`, and its result on the exam's float inputs, which it saw last."""
        if not self.full:
            fault = self._integer_fault(product)
            if fault:
                return Proof(self.method, fault=fault), np.empty(0, np.float32)
        c = product(self.a, self.b)
        return self.compare(c), c

    def compare(self, c: NDArray[np.float32]) -> Proof:
        """`c` against float64, on all rows or the sampled ones."""
        fault = _unwritten(c)
        rows = c[self.rows].astype(np.float64)
        distance = np.abs(rows - self._reference)
        wrong = ~(distance <= self._bound)  # So that NaN is wrong.
        if wrong.any() and not fault:
            row, col = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            fault = (
                f"{wrong.sum():,} of {wrong.size:,} elements outside the rounding bound, first"
                f" c[{self.rows[row]}, {col}] = {rows[row, col]:.7g}"
                f" instead of {self._reference[row, col]:.7g}"
            )
        scale = float(np.linalg.norm(self._reference)) or 1.0
        return Proof(
            self.method,
            error=_number(np.max(distance / self._bound)),
            relative_error=_number(np.linalg.norm(distance) / scale),
            fault=fault,
        )

    def recheck(self, c: NDArray[np.float32], proven: NDArray[np.float32]) -> Proof:
        """The output that timing left, against float64 and, every element, against the proven one."""
        proof = self.compare(c)
        if proof.ok and not self.full:
            # Each of the two may be off by the bound.
            wrong = ~(np.abs(c - proven) <= 2 * oracle.centred_norm_bound(self.a, self.b, dtype=F32))
            if wrong.any():
                proof = replace(proof, fault=f"{wrong.sum():,} elements changed while it was timed")
        return proof

    def _integer_fault(self, product: Product) -> str:
        """What is wrong with a product of small integers, whose sums float32 holds exactly; else ''."""
        most = min(63, math.isqrt((2**24 - 1) // self.k))
        if most < 1:
            raise LimitError(f"cannot be proven: sums of {self.k:,} integers are not exact in float32")
        a = self._rng.integers(-most, most, (self.m, self.k), endpoint=True).astype(np.float32)
        b = self._rng.integers(-most, most, (self.k, self.n), endpoint=True).astype(np.float32)
        c = product(a, b)
        return _unwritten(c) or freivalds_fault(a, b, c, rng=self._rng)


def freivalds_fault(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    c: NDArray[np.float32],
    *,
    rng: np.random.Generator,
) -> str:
    """Says where c is not a @ b, for matrices of integers with sums under 2^24; '' where it is.

    c @ x must equal a @ (b @ x) for random integer vectors x (Freivalds, 1977). All sums stay under
    2^53, exact in float64. A wrong c passes with a chance under 2^-40.
    """
    n = b.shape[1]
    most, count = _test_vectors(n)
    x = rng.integers(-most, most, (n, count), endpoint=True).astype(np.float64)
    expected = a.astype(np.float64) @ (b.astype(np.float64) @ x)
    wrong = ~(c.astype(np.float64) @ x == expected).all(axis=1)
    if not wrong.any():
        return ""
    first = int(np.argmax(wrong))
    return f"{wrong.sum():,} of {len(wrong):,} rows of an integer product are wrong, first row {first}"


def _test_vectors(n: int) -> tuple[int, int]:
    """The largest entry of a test vector of length n, and how many there are.

    Sums of n entries times 2^24 stay under 2^53. One wrong element passes one vector with a chance of
    1 in 2 most + 1.
    """
    most = max(1, min(2**16, 2**28 // n))
    return most, math.ceil(40 / math.log2(2 * most + 1))


def _unwritten(c: NDArray[np.float32]) -> str:
    untouched = np.ascontiguousarray(c).view(np.uint32) == POISON
    if untouched.any():
        return f"{untouched.mean():.2%} of C never written"
    return ""


def _number(x: np.floating) -> float | None:
    return float(x) if np.isfinite(x) else None


def _uniform(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    return rng.random(shape, np.float32) * np.float32(2) - np.float32(1)
