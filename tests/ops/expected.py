"""What an elementwise operation should give, and how far from it a result is."""

from typing import NamedTuple

import numpy as np

from rusty_py import oracle
from rusty_py.dtypes import ELEMENTS
from rusty_py.ops.table import Row


class Expected(NamedTuple):
    """A result in its own dtype where it must be exact, else float64 and what each element may be off."""

    reference: np.ndarray
    bound: np.ndarray | None


def of_operation(row: Row, a: np.ndarray, b: np.ndarray) -> Expected:
    """Of `row` on a and b, of one dtype, within what WGSL allows an adapter."""
    kind = next(each for each in ELEMENTS.values() if each.numpy == a.dtype)
    if row.truth or kind.kind == "b":
        return Expected(np.asarray(row.oracle(a, b)), None)
    if kind.kind in "iu":
        return Expected(np.asarray(of_integers(row, a, b)), None)
    if row.name == "power":
        return Expected(*oracle.power(a, b, dtype=kind))
    reference = np.asarray(row.oracle(a.astype(np.float64), b.astype(np.float64)))
    return Expected(reference, oracle.rounding(reference, ulps=row.ulps, dtype=kind))


def of_integers(row: Row, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """NumPy's, which wraps as ours does; it refuses negative exponents, of which ours is the whole part."""
    with np.errstate(over="ignore"):
        if row.name != "power":
            return row.oracle(a, b)
        quotient = (
            np.where(a == 1, 1, np.where(a == -1, np.where(b % 2, -1, 1), 0)) if a.dtype.kind == "i" else 0
        )
        return np.where(b < 0, quotient, np.power(a, np.maximum(b, 0)))


def error(result: np.ndarray, expected: Expected) -> float:
    """The largest error as a fraction of its bound: above 1 is wrong. Of what is exact, 0 or infinite."""
    reference, bound = expected
    if result.shape != reference.shape:
        return np.inf
    if bound is None:
        return 0.0 if np.array_equal(result, reference) else np.inf
    off = np.abs(result.astype(np.float64) - reference) / bound
    same = np.isnan(result) & np.isnan(reference)
    return float(np.max(np.where(same, 0.0, np.where(np.isnan(off), np.inf, off)), initial=0.0))
