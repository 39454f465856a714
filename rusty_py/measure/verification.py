"""Verification before and after timing: of any result with its bound, and of matrix products.

Up to `FULL_FLOPS`, every element is compared with float64. Larger products are verified with small integers,
whose sums are exact, by Freivalds' algorithm with a few random vectors (with float inputs, rounding errors
would hide a single wrong element). Sampled rows with float inputs are compared with float64, too, to detect
errors that integers don't show, such as reduced precision.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import LimitError
from rusty_py.measure.document import Verification
from rusty_py.oracle import Expected

POISON = 0xFFE5_FFE5  # A NaN that no arithmetic makes, as one float32 and as two float16.
FULL_FLOPS = 2**31  # Up to here (1024 cubed), every element against float64.
_ROWS = 32
_EXACT = {F32: 2**24, F16: 2**11}  # Integers up to here are exact.
# A sum of k terms of random signs exceeds this times sqrt(k) once in 10^21 (Hoeffding): a false alarm.
_SPREAD = 10

Matrices = NDArray[np.floating]
GemmProblem = Callable[[Matrices, Matrices], Matrices]
"""Poisons the output, multiplies on the device, reads the result back."""


class MatmulVerifier:
    """Inputs and reference of a problem, shared by all kernels.

    `products` matrix products of (m, k) by (k, n); if there are several, arrays have a leading batch axis.
    Operands and result have dtype `dtype`, the accumulators `accumulate_dtype`.
    """

    def __init__(
        self,
        m: int,
        k: int,
        n: int,
        *,
        rng: np.random.Generator,
        products: int = 1,
        dtype: Dtype = F32,
        accumulate_dtype: Dtype = F32,
        full_flops: int = FULL_FLOPS,
    ) -> None:
        self.m, self.k, self.n, self.products = m, k, n, products
        self.dtype, self.accumulate_dtype = dtype, accumulate_dtype
        batch = (products,) if products > 1 else ()
        self.shape = (*batch, m, n)
        self.nbytes = products * m * n * dtype.itemsize
        self._shapes = (*batch, m, k), (*batch, k, n)
        self._rng = rng
        self.a, self.b = (_uniform(rng, shape, dtype) for shape in self._shapes)
        self.full = 2 * m * k * n * products <= full_flops
        # Across all products: row i is row i % m of product i // m.
        self.rows = np.arange(products * m)
        self.method = "every element against float64"
        if not self.full:
            first = m * np.arange(products)
            picked = rng.choice(products * m, size=min(products * m, _ROWS), replace=False)
            self.rows = np.unique(np.concatenate([first, first + m - 1, picked]))
            self.method = (
                f"every element by exact integers (Freivalds, {_test_vectors(n)[1]} vectors),"
                f" {len(self.rows)} rows against float64"
            )

    def verify(self, product: GemmProblem) -> tuple[Verification, Matrices]:
        """Verifies `product`; also returns its result for the float inputs, which run last."""
        if not self.full:
            fault = self._integer_fault(product)
            if fault:
                return Verification(self.method, fault=fault), np.empty(0, np.float32)
        c = product(self.a, self.b)
        return self.compare(c), c

    def compare(self, c: Matrices) -> Verification:
        """Compares all rows of `c`, or the sampled ones, with float64."""
        fault = unwritten(c)
        reference, bound = self._reference
        rows = c.reshape(-1, self.n)[self.rows].astype(np.float64)
        with np.errstate(invalid="ignore"):
            distance = np.abs(rows - reference)
        wrong = ~(distance <= bound)  # So that NaN is wrong.
        if wrong.any() and not fault:
            row, col = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            product, line = divmod(int(self.rows[row]), self.m)
            at = f"{product}, {line}, {col}" if self.products > 1 else f"{line}, {col}"
            fault = (
                f"{wrong.sum():,} of {wrong.size:,} elements outside the rounding bound, first"
                f" c[{at}] = {rows[row, col]:.7g} instead of {reference[row, col]:.7g}"
            )
        scale = float(np.linalg.norm(reference)) or 1.0
        return Verification(
            self.method,
            error=_number(np.max(distance / bound)),
            relative_error=_number(np.linalg.norm(distance) / scale),
            fault=fault,
        )

    def recheck(self, c: Matrices, verified: Matrices) -> Verification:
        """Compares the output after timing with float64, and every element with the verified output."""
        verification = self.compare(c)
        if verification.ok and not self.full:
            changed = sum(self._changed(*each) for each in self._each(self.a, self.b, c, verified))
            if changed:
                verification = replace(verification, fault=f"{changed:,} elements changed while it was timed")
        return verification

    @cached_property
    def _reference(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`rows` in float64, and the error bound of each element."""
        references, bounds = [], []
        for product, (a, b) in enumerate(self._each(self.a, self.b)):
            rows = self.rows[self.rows // self.m == product] % self.m
            reference, bound = oracle.matmul(a[rows], b, dtype=self.accumulate_dtype, centred=True)
            references.append(reference)
            bounds.append(bound + self._rounding(reference))
        return np.concatenate(references), np.concatenate(bounds)

    def _changed(self, a: Matrices, b: Matrices, c: Matrices, verified: Matrices) -> int:
        """How many elements of two results differ by more than twice the rounding bound."""
        bound = oracle.centred_norm_bound(
            a.astype(np.float32), b.astype(np.float32), dtype=self.accumulate_dtype
        )
        one, other = (x.astype(np.float64) for x in (c, verified))
        with np.errstate(invalid="ignore"):
            return int((~(np.abs(one - other) <= 2 * (bound + self._rounding(other)))).sum())

    def _rounding(self, reference: NDArray[np.float64]) -> NDArray[np.float64] | float:
        """The error of the final rounding to a narrower result."""
        return 0.0 if self.dtype is F32 else oracle.rounding(reference, ulps=0.5, dtype=self.dtype)

    def _each(self, *stacks: Matrices) -> Iterator[tuple[Matrices, ...]]:
        """Iterates over the matrices of each product."""
        return zip(*(x.reshape(self.products, *x.shape[-2:]) for x in stacks), strict=True)

    def _integer_fault(self, product: GemmProblem) -> str:
        """The fault of products of small integers, whose sums are exact; '' if correct."""
        exact = min(_EXACT[self.dtype], _EXACT[self.accumulate_dtype])
        limit = min(63, math.isqrt((exact - 1) // min(self.k, math.ceil(_SPREAD * math.sqrt(self.k)))))
        if limit < 1:
            raise LimitError(
                f"cannot be verified: sums of {self.k:,} integers are not exact in {self.dtype.name}"
            )
        a, b = (
            self._rng.integers(-limit, limit, shape, endpoint=True).astype(self.dtype.numpy)
            for shape in self._shapes
        )
        c = product(a, b)
        if fault := unwritten(c):
            return fault
        for i, each in enumerate(self._each(a, b, c)):
            if fault := freivalds_fault(*each, rng=self._rng):
                return f"{fault} of product {i}" if self.products > 1 else fault
        return ""


def compared(expected: Expected, result: NDArray[Any]) -> Verification:
    """Compares every element with the reference, within its bound or exactly.

    A NaN that nothing computed is wrong where NaN is right.
    """
    reference, bound = expected
    if result.shape != reference.shape:
        return Verification("shape", fault=f"the shape is {result.shape}, not {reference.shape}")
    if fault := unwritten(result):
        return Verification("every element", fault=fault)
    if bound is None:
        same = result == reference
        if reference.dtype.kind == "f":
            same |= np.isnan(result) & np.isnan(reference)
        return Verification("every element, exactly", fault=_fault(result, reference, np.asarray(~same)))
    with np.errstate(invalid="ignore"):
        distance = np.abs(result.astype(np.float64) - reference)
        same = (result == reference) | (np.isnan(result) & np.isnan(reference))
    distance = np.where(same, 0.0, distance)
    error = float(np.max(np.divide(distance, bound, out=np.zeros_like(distance), where=~same), initial=0.0))
    scale = float(np.linalg.norm(reference.ravel())) or 1.0
    relative = float(np.linalg.norm(distance.ravel())) / scale
    return Verification(
        "every element against float64",
        error=error if np.isfinite(error) else None,
        relative_error=relative if np.isfinite(relative) else None,
        fault=_fault(result, reference, ~(same | (distance <= bound))),  # So that NaN is wrong.
    )


def _fault(result: NDArray[Any], reference: NDArray[Any], wrong: NDArray[np.bool_]) -> str:
    if not wrong.any():
        return ""
    first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    at = ", ".join(map(str, first))
    return (
        f"{wrong.sum():,} of {wrong.size:,} elements are wrong, first [{at}] ="
        f" {result[first]:.7g} instead of {reference[first]:.7g}"
    )


def freivalds_fault(
    a: Matrices,
    b: Matrices,
    c: Matrices,
    *,
    rng: np.random.Generator,
) -> str:
    """Describes where c differs from a @ b, for integer matrices with sums below 2^24; '' if equal.

    c @ x must equal a @ (b @ x) for random integer vectors x (Freivalds, 1977). All sums are below 2^53,
    exact in float64. A wrong c passes with probability below 2^-40.
    """
    n = b.shape[1]
    limit, count = _test_vectors(n)
    x = rng.integers(-limit, limit, (n, count), endpoint=True).astype(np.float64)
    expected = a.astype(np.float64) @ (b.astype(np.float64) @ x)
    wrong = ~(c.astype(np.float64) @ x == expected).all(axis=1)
    if not wrong.any():
        return ""
    first = int(np.argmax(wrong))
    return f"{wrong.sum():,} of {len(wrong):,} rows of an integer product are wrong, first row {first}"


def _test_vectors(n: int) -> tuple[int, int]:
    """The largest entry of test vectors of length n, and the number of vectors.

    Sums of n entries times 2^24 are below 2^53. One wrong element passes one vector with a probability of
    1 in 2 * limit + 1.
    """
    limit = max(1, min(2**16, 2**28 // n))
    return limit, math.ceil(40 / math.log2(2 * limit + 1))


def unwritten(result: NDArray[Any]) -> str:
    """Describes how much of a result is still poison; "" if none is.

    Integers may have any bits: there, the comparison finds it.
    """
    if result.dtype.kind not in "fb":
        return ""
    word = np.dtype(f"u{result.itemsize}")
    untouched = np.ascontiguousarray(result).view(word) == POISON & np.iinfo(word).max
    return f"{untouched.mean():.2%} of the result never written" if untouched.any() else ""


def _number(x: np.floating) -> float | None:
    return float(x) if np.isfinite(x) else None


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Matrices:
    return (rng.random(shape, np.float32) * np.float32(2) - np.float32(1)).astype(dtype.numpy, copy=False)
