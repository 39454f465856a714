"""Elementwise operations and creation on arrays larger than one binding, in parts that fit."""

from collections.abc import Iterator

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, LimitError
from rusty_py.dtypes import F16
from rusty_py.ops import windows

from ..each import each_reported
from .operands import LAYOUTS, needs, on
from .test_stream import small

LIMIT = 4096


@pytest.fixture(scope="module")
def narrow(device: Device) -> Iterator[Device]:
    """A device on which arrays of a few thousand elements are larger than a binding."""
    with small(device, binding_bytes=LIMIT) as narrow:
        yield narrow


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 9, shape).astype(np.float32)


def test_large_operands_of_any_layout_give_what_numpy_gives(narrow: Device) -> None:
    x, y = numbers(60, 100), numbers(60, 100, seed=2)
    with each_reported() as case:
        for name, view in LAYOUTS.items():
            with case(name):
                a, b = view(on(narrow, x)), view(on(narrow, y))
                np.testing.assert_array_equal((a + b).numpy(), view(x) + view(y))
                np.testing.assert_array_equal((a * 2).numpy(), view(x) * 2)
                np.testing.assert_array_equal(rp.where(a > b, a, b).numpy(), np.maximum(view(x), view(y)))
                np.testing.assert_array_equal(a.copy().numpy(), view(x))


@pytest.mark.parametrize("size", [1024, 1025, 2047, 4099, 7001])
def test_large_arrays_of_one_axis(narrow: Device, size: int) -> None:
    x, y = numbers(size), numbers(size, seed=2)
    a, b = on(narrow, x), on(narrow, y)
    np.testing.assert_array_equal((a - b).numpy(), x - y)
    np.testing.assert_array_equal((a[::-1] - b).numpy(), x[::-1] - y)
    np.testing.assert_array_equal((a[1:] - b[:-1]).numpy(), x[1:] - y[:-1])
    np.testing.assert_array_equal((a.astype("i32") + 1).numpy(), x.astype(np.int32) + 1)


def test_a_result_may_be_larger_than_its_operands(narrow: Device) -> None:
    x, y = numbers(70, 1), numbers(1, 90)
    np.testing.assert_array_equal((on(narrow, x) * on(narrow, y)).numpy(), x * y)


def test_a_small_view_of_a_large_array_is_one_launch(narrow: Device) -> None:
    x = numbers(60, 100)
    seen = on(narrow, x)[57, 3:40]
    assert windows.fits(seen)
    np.testing.assert_array_equal((seen + seen).numpy(), 2 * x[57, 3:40])


def test_f16_in_parts(narrow: Device) -> None:
    needs(narrow, F16)
    x = numbers(61, 99).astype(np.float16)
    a = on(narrow, x)
    np.testing.assert_array_equal((a + a.T.reshape(61, 99)).numpy(), x + x.T.reshape(61, 99))


def test_parts_of_a_large_array_are_assigned_and_filled(narrow: Device) -> None:
    x = numbers(60, 100)
    a = on(narrow, x)
    a[5:50, ::3].assign(on(narrow, -x)[5:50, ::3])
    expected = x.copy()
    expected[5:50, ::3] *= -1
    np.testing.assert_array_equal(a.numpy(), expected)
    for dtype in ("f32", "i32", "bool"):
        filled = rp.full((53, 101), 1, dtype=dtype, device=narrow)
        np.testing.assert_array_equal(filled.numpy(), np.ones((53, 101), filled.dtype))


def test_gradients_of_large_arrays(narrow: Device) -> None:
    x = on(narrow, numbers(60, 100))
    x.requires_grad = True
    (x * x + x).backward(rp.ones((60, 100), device=narrow))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.numpy() + 1)


def test_a_window_that_is_too_large_is_refused(narrow: Device) -> None:
    with pytest.raises(LimitError, match=r"^array: larger than one binding on .*: 8192 > 4096 bytes"):
        windows.bound(on(narrow, numbers(2048)))
