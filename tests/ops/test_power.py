"""x ** y where C's pow has special cases, for numbers and arrays alike."""

import itertools

import numpy as np
import pytest

from rusty_py import Device, oracle
from rusty_py.dtypes import F16, F32, Dtype

from .operands import needs, on

FINITE = {F32: (2.0**-149, 3e-39, 2.0**-126, 3e38), F16: (2.0**-24, 3e-5, 2.0**-14, 65504.0)}
BOTH_SIGNS = (0.0, np.inf, 1.0, 0.5, 2.0, 3.0, 1.5, 1000.0, 0.999)
EXPONENTS = (1 / 3, 0.25, 2.5, 4.0, 8388609.0, 16777216.0, 1e9, 1e30, 2.0**-140)


def operands(kind: Dtype) -> tuple[np.ndarray, np.ndarray]:
    """Every special base with every special exponent, and some ordinary ones."""
    largest = float(np.finfo(kind.numpy).max)
    sizes = [*BOTH_SIGNS, *FINITE[kind]]
    bases = [np.nan, *sizes, *(-size for size in sizes)]
    powers = [size for size in (*sizes, *EXPONENTS) if size <= largest or np.isinf(size)]
    exponents = [np.nan, *powers, *(-each for each in powers)]
    pairs = np.array(list(itertools.product(bases, exponents))).astype(kind.numpy)
    return pairs[:, 0], pairs[:, 1]


def wrong(result: np.ndarray, x: np.ndarray, y: np.ndarray, kind: Dtype) -> np.ndarray:
    """Where `result` is neither NumPy's power, within its bound, nor for a subnormal base that of a zero."""

    def differs(base: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            reference, bound = oracle.power(base, y, dtype=kind)
            close = np.abs(result.astype(np.float64) - reference) <= bound
            rounded = reference.astype(kind.numpy)
        exact = (result == rounded) | (np.isnan(result) & np.isnan(rounded))
        signs = (np.signbit(result) == np.signbit(rounded)) | np.isnan(rounded)
        return ~((exact | close) & signs)

    subnormal = (np.abs(x) < np.finfo(kind.numpy).tiny) & (x != 0)
    return np.where(subnormal, differs(x) & differs(np.copysign(0, x)), differs(x))


@pytest.mark.parametrize("kind", [F32, F16], ids=lambda kind: kind.name)
def test_special_bases_and_exponents_give_what_numpy_gives(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    x, y = operands(kind)
    result = (on(device, x) ** on(device, y)).numpy()
    bad = wrong(result, x, y, kind)
    with np.errstate(all="ignore"):
        table = [f"{a}**{b} = {c}, NumPy {a**b}" for a, b, c in zip(x[bad], y[bad], result[bad], strict=True)]
    assert not table, "\n".join(table[:20])


@pytest.mark.parametrize("kind", [F32, F16], ids=lambda kind: kind.name)
def test_a_number_and_an_array_of_it_give_the_same_bits(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    x, y = operands(kind)
    both = (on(device, x) ** on(device, y)).numpy()

    def bits(values: np.ndarray) -> np.ndarray:
        return values.view(f"u{kind.itemsize}")

    def agrees(result: np.ndarray, expected: np.ndarray) -> bool:
        both_nan = np.isnan(result) & np.isnan(expected)
        return bool(((bits(result) == bits(expected)) | both_nan).all())

    for pattern in np.unique(bits(x)):
        chosen = bits(x) == pattern
        number = float(x[chosen][0])
        assert agrees((number ** on(device, y[chosen])).numpy(), both[chosen]), f"{number} ** y"
    for pattern in np.unique(bits(y)):
        chosen = bits(y) == pattern
        number = float(y[chosen][0])
        assert agrees((on(device, x[chosen]) ** number).numpy(), both[chosen]), f"x ** {number}"


def test_roots_and_their_inverses_keep_nan(device: Device) -> None:
    x = on(device, np.array([1.0, np.nan, 9.0], np.float32))
    for exponent in (0.5, -0.5, 1 / 3, -0.999):
        assert np.isnan((x**exponent).numpy()).tolist() == [False, True, False], exponent
