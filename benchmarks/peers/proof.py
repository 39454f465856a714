"""Verification of products against float64, within the rounding bounds of our own kernels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.problems import Matrix
from rusty_py import oracle
from rusty_py.dtypes import F16, F32

SAMPLED = 16
"""Rows and columns that are compared where a result has more."""
_ALL_FLOPS = 2**28  # A smaller product is compared as a whole.


class WrongProduct(Exception):
    """The error of a product exceeds the rounding bound."""


@dataclass(frozen=True)
class Proof:
    """The largest error in units of its bound, and the type whose bound it is: what sums were added up in."""

    error: float
    sums: str


def prove(a: Matrix, b: Matrix, c: Matrix) -> Proof:
    """Compares c with a @ b. Raises WrongProduct.

    a: (..., m, k), b: (..., k, n). All of a small product; of a large one the first, the last and random
    rows and columns, so that every block of a kernel is met. f16 operands may be added up in f32 and rounded
    once, or in f16: the first is tried first.
    """
    shape = (*a.shape[:-1], b.shape[-1])
    if c.shape != shape or c.dtype != a.dtype:
        raise WrongProduct(f"wrong: the result is {c.dtype} of shape {c.shape}, not {a.dtype} of {shape}")
    parts = list(_parts(a, b, c))
    error = max(_error(*part, sums="f32") for part in parts)
    if error <= 1:
        return Proof(error, "f32")
    if a.dtype == np.float16:
        loose = max(_error(*part, sums="f16") for part in parts)
        if loose <= 1:
            return Proof(loose, "f16")
        error = loose
    raise WrongProduct(f"wrong: the error is {error:.3g} times its bound")


def _parts(a: Matrix, b: Matrix, c: Matrix) -> Iterator[tuple[Matrix, Matrix, Matrix]]:
    """Parts of the product that are compared in place of the whole."""
    if a.ndim > 2:
        for i in {0, len(a) - 1}:
            yield from _parts(a[i], b[i], c[i])
        return
    (m, k), n = a.shape, b.shape[1]
    if 2 * m * k * n <= _ALL_FLOPS:
        yield a, b, c
        return
    rows, cols = _sampled(m), _sampled(n)
    yield a[rows], b, c[rows]
    yield a, b[:, cols], c[:, cols]


def _sampled(size: int) -> NDArray[np.int64]:
    chosen = np.random.default_rng().choice(size, min(size, SAMPLED), replace=False)
    chosen[:1], chosen[-1:] = 0, size - 1
    return np.unique(chosen)


def _error(a: Matrix, b: Matrix, c: Matrix, *, sums: str) -> float:
    """The maximum error as a fraction of its bound; infinite if not finite."""
    reference, bound = oracle.matmul(a, b, dtype=F32 if sums == "f32" else F16, centred=True)
    if c.dtype == np.float16:
        bound = bound + oracle.rounding(reference, ulps=1, dtype=F16)
    errors = np.abs(c.astype(np.float64) - reference) / bound
    return float(errors.max()) if np.isfinite(errors).all() else float("inf")
