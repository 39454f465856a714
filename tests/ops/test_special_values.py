"""NaN, infinities, signed zeros and the ends of each range give what they give in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, UnsupportedError
from rusty_py.dtypes import F16, F32, I32, U32, Dtype

from ..each import each_reported
from .operands import on

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]

UNARY = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "isfinite": np.isfinite,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "logical_not": np.logical_not,
    "negative": np.negative,
    "positive": np.positive,
    "round": np.rint,
    "sign": np.sign,
    "signbit": np.signbit,
    "trunc": np.trunc,
}
BINARY = {
    "copysign": np.copysign,
    "floor_divide": np.floor_divide,
    "fmod": np.fmod,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    # y where they are equal, as in C: NumPy's of f16 gives x.
    "nextafter": lambda x, y: np.where(x == y, y, np.nextafter(x, y)),
    "remainder": np.remainder,
}
BY_BITS = {"copysign", "isfinite", "isinf", "isnan", "nextafter", "sign", "signbit"}
"""What subnormal numbers go through unharmed on every device."""


def floats(device: Device) -> Iterator[Dtype]:
    yield F32
    if "shader-f16" in device.adapter.features:
        yield F16


def specials(kind: Dtype, *, subnormal: bool) -> np.ndarray:
    info = np.finfo(kind.numpy)
    sizes = [0.0, 0.25, 0.5, 1.0, 1.5, 2.5, 3.0, 1000.5, np.inf, info.max, info.smallest_normal]
    sizes += [info.smallest_subnormal] * subnormal
    return np.array([*sizes, *(-each for each in sizes), np.nan], kind.numpy)


def assert_identical(result: Any, expected: np.ndarray) -> None:
    """Equal, NaN included, and zeros of the same sign."""
    result = result.numpy()
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    if expected.dtype.kind == "f":
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(expected[zero]))


def test_floats_of_every_kind(device: Device) -> None:
    with each_reported() as case:
        for kind in floats(device):
            for name, numpy in (UNARY | BINARY).items():
                x = specials(kind, subnormal=name in BY_BITS)
                given = (x,) if name in UNARY else tuple(each.reshape(-1) for each in np.meshgrid(x, x))
                with case(f"{name} {kind.name}"), np.errstate(all="ignore"):
                    result = getattr(rp, name)(*(on(device, each) for each in given))
                    assert_identical(result, numpy(*given))


def test_integers_to_the_ends_of_their_range(device: Device) -> None:
    names = ["floor_divide", "remainder", "fmod", "left_shift", "right_shift", "sign", "abs", "round"]
    with each_reported() as case:
        for kind in (I32, U32):
            info = np.iinfo(kind.name.replace("i", "int").replace("u", "uint"))
            small = [each for each in (-33, -32, -31, -7, -2, -1) if each >= info.min]
            numbers = np.array([*small, 0, 1, 2, 7, 31, 32, 33, info.max, info.min], kind.numpy)
            x, y = (each.reshape(-1) for each in np.meshgrid(numbers, numbers))
            for name in names:
                numpy = {"round": np.positive}.get(name, getattr(np, name))
                count = getattr(numpy, "nin", 1)
                with case(f"{name} {kind.name}"), np.errstate(all="ignore"):
                    given = (x, y)[:count]
                    result = getattr(rp, name)(*(on(device, each) for each in given))
                    assert_identical(result, numpy(*given))


def test_clip_with_any_limits(device: Device) -> None:
    x = specials(F32, subnormal=False)
    low, high = np.float32(-1.5), np.flip(x).copy()
    with each_reported() as case:
        for limits in (
            (None, None),
            (low, None),
            (None, 2.0),
            (low, 2.0),
            (2.0, low),
            (x, high),
            (np.nan, 1.0),
        ):
            with case(limits), np.errstate(invalid="ignore"):
                held = [on(device, each) if isinstance(each, np.ndarray) else each for each in limits]
                result = rp.clip(on(device, x), *held)
                least, largest = limits
                expected = x if least is None else np.maximum(x, np.float32(least))
                expected = expected if largest is None else np.minimum(expected, np.float32(largest))
                assert_identical(result, expected)
    i = np.array([-5, 0, 7], np.int32)
    assert rp.clip(on(device, i), max=3).tolist() == [-5, 0, 3]
    assert rp.clip(on(device, i)).tolist() == [-5, 0, 7]
    assert rp.clip(on(device, i), on(device, i[:, None]), 5).shape == (3, 3)
    with pytest.raises(rp.DtypeError, match=r"^clip: dtypes do not mix: i32 and the float 0.5"):
        rp.clip(on(device, i), 0.5)
    with pytest.raises(rp.DtypeError, match=r"^clip: not for bool"):
        rp.clip(on(device, i > 0))


def test_quotients_and_remainders_of_any_floats_agree(device: Device) -> None:
    """All exponents: the remainder is exact, and so is the quotient where its digits have room."""
    rng = np.random.default_rng()
    x, y = (rng.integers(0, 2**32, 1 << 14, np.uint32).view(np.float32) for _ in range(2))
    with np.errstate(all="ignore"):
        y[::2] = x[::2] * rng.uniform(-2, 2, len(x) // 2).astype(np.float32)  # Quotients of few digits.
    normal = np.isfinite(x) & np.isfinite(y) & (np.abs(np.minimum(np.abs(x), np.abs(y))) > 2.0**-100)
    x, y = x[normal], y[normal]
    quotient, rest = (each.numpy().astype(np.float64) for each in divmod(on(device, x), on(device, y)))
    wide, divisor = x.astype(np.float64), y.astype(np.float64)
    np.testing.assert_array_equal(rp.fmod(on(device, x), y).numpy(), np.fmod(wide, divisor))
    assert np.all((rest == 0) | (np.signbit(rest) == np.signbit(y)))
    assert np.all(np.abs(rest - np.remainder(wide, divisor)) <= 2.0**-24 * np.abs(divisor))
    few = np.abs(quotient) < 2**24
    assert few.any()
    assert not few.all()
    off = np.abs(quotient * divisor + rest - wide)
    assert np.all(off[few] <= 2.0**-24 * np.abs(divisor[few]))
    with np.errstate(over="ignore"):
        expected = np.floor_divide(wide, divisor)
        infinite = np.isinf(expected.astype(np.float32))
    np.testing.assert_array_equal(np.isinf(quotient), infinite)
    np.testing.assert_allclose(quotient[~infinite], expected[~infinite], rtol=2e-7)


def test_operators_are_the_functions(unchecked: Device) -> None:
    x, i = on(unchecked, np.array([7.5, -7.5], np.float32)), on(unchecked, np.array([7, -7], np.int32))
    assert [each.tolist() for each in divmod(x, 2)] == [[3.0, -4.0], [1.5, 0.5]]
    assert [each.tolist() for each in divmod(20, i)] == [[2, -3], [6, -1]]
    assert (20 // i).tolist() == [2, -3]
    assert (np.float32(20) % x).tolist() == [5.0, -2.5]
    assert (i << 1).tolist() == [14, -14]
    assert (1 << rp.array([3, 31, 32])).tolist() == [8, -(2**31), 0]
    assert (i >> 1).tolist() == [3, -4]
    assert (+i).tolist() == [7, -7]
    assert round(x).tolist() == [8.0, -8.0]
    with pytest.raises(UnsupportedError, match=r"^round: to whole numbers only, not to 2 digits"):
        round(x, 2)
    with pytest.raises(rp.DtypeError, match=r"^bitwise_left_shift: not for f32"):
        x << 1
