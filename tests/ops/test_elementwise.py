"""Elementwise operations beside what follows from their records: shapes, numbers, dtypes, what is refused."""

from math import inf

import numpy as np
import pytest

from rusty_py import Device, DeviceError, DtypeError, LimitError, ShapeError, array, where
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32
from rusty_py.ops.all import ROWS
from rusty_py.samples import Sample

from ..each import each_reported
from .operands import needs, on, values
from .test_matmul import small

pytestmark = pytest.mark.one_mode


def assert_computed(result: Array, name: str, a: np.ndarray, b: np.ndarray) -> None:
    """`result` is the operation on a and b, within what WGSL allows an adapter."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    expected = ROWS[name].expected(Sample(name, (np.broadcast_to(a, shape), np.broadcast_to(b, shape))))
    host = result.numpy()
    assert host.dtype == a.dtype
    assert expected.error(host) <= 1


def test_masks_are_combined_by_operators(device: Device) -> None:
    a, b = values(F32, 6, 10, seed=1), values(F32, 6, 10, seed=2)
    x, y = on(device, a), on(device, b)
    mask = ((x > 0) & (y > 0)) | ~(x > -1) ^ (y == y)
    np.testing.assert_array_equal(mask.numpy(), ((a > 0) & (b > 0)) | ~(a > -1) ^ (b == b))
    assert mask.dtype == np.bool_
    assert where(~mask, x, y).shape == a.shape
    np.testing.assert_array_equal((True ^ (x > 0)).numpy(), ~(a > 0))
    mask &= x > 0
    np.testing.assert_array_equal(np.bitwise_or(b > 0, mask).numpy(), (b > 0) | mask.numpy())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 1), (1, 4)),
        ((4,), (3, 4)),
        ((), (2, 3)),
        ((2, 1, 3), (5, 1)),
        ((0, 3), (1, 3)),
        ((1,), (0,)),
        ((1, 1), ()),
    ],
    ids=str,
)
def test_shapes_broadcast(device: Device, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = values(F32, *a, seed=1), values(F32, *b, seed=2)
    assert_computed(on(device, left) + on(device, right), "add", np.asarray(left), np.asarray(right))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1021, 70_001])
def test_sizes_at_the_edge_of_a_workgroup(device: Device, size: int) -> None:
    a, b = values(F32, size, seed=1), values(F32, size, seed=2)
    assert_computed(on(device, a) * on(device, b), "multiply", a, b)


def test_many_elements_are_for_workgroups_in_two_dimensions(device: Device) -> None:
    a, b = values(F32, 103, 41, seed=1), values(F32, 103, 41, seed=2)
    with small(device, groups=5) as narrow:
        x, y = on(narrow, a), on(narrow, b)
        assert_computed(x - y, "subtract", a, b)
        assert_computed(x.T - y.T, "subtract", a.T, b.T)
        np.testing.assert_array_equal(x[::-1].copy().numpy(), a[::-1])
        np.testing.assert_array_equal(where(x > 0, x, y).numpy(), np.where(a > 0, a, b))
    with small(device, groups=2) as narrow, pytest.raises(LimitError) as refused:
        on(narrow, a) - on(narrow, b)
    assert str(refused.value).startswith("subtract f32: 1056 items are more than ")
    assert str(refused.value).endswith(": 5 workgroups, 2 x 2 at most; compute in parts")


def test_eight_axes_that_lie_apart_and_not_nine(device: Device) -> None:
    a = values(F32, *[3] * 9)
    x = on(device, a)
    eight = (0, *[slice(None, None, 2)] * 8)
    np.testing.assert_array_equal((x[eight] + 1).numpy(), a[eight] + np.float32(1))
    with pytest.raises(LimitError, match=r"^add f32: more axes than kernels take: 9 that lie apart, "):
        x[(slice(None, None, 2),) * 9] + 1


def test_nothing_is_written_beyond_the_result(device: Device) -> None:
    around = array(np.full(1000, 7.0, np.float32), device=device)
    x = on(device, values(F32, 300))
    around[100:400].assign(x)
    host = around.numpy()
    np.testing.assert_array_equal(host[100:400], x.numpy())
    assert (host[:100] == 7).all()
    assert (host[400:] == 7).all()


def test_a_square_is_a_product(device: Device) -> None:
    a = values(F32, 1000)
    np.testing.assert_array_equal((on(device, a) ** 2).numpy(), a * a)


def test_powers_of_zero_and_of_negative_numbers(device: Device) -> None:
    x = array([-2.0, -2.0, -2.0, 0.0, 0.0, 0.0, -1.0, 2.0, 0.5], device=device)
    y = array([3.0, 2.0, -3.0, 0.0, 2.0, 0.5, 1e9, -126.0, -127.0], device=device)
    assert (x**y).tolist() == [-8.0, 4.0, -0.125, 1.0, 0.0, 0.0, 1.0, 2.0**-126, 2.0**127]


def test_a_broken_power_of_a_negative_number_is_none(unchecked: Device) -> None:
    assert np.isnan((array([-2.0], device=unchecked) ** 0.5).numpy()).all()


def test_floats_beyond_an_integers_range_become_its_ends(device: Device) -> None:
    x = array([-1e20, 1e20, -3.9, 3.9], device=device)
    assert x.astype("i32").tolist() == [-(2**31), 2**31 - 128, -3, 3]
    assert x.astype("u32").tolist() == [0, 2**32 - 256, 0, 3]


def test_a_number_in_where_takes_no_launch_and_no_memory(unchecked: Device) -> None:
    host = values(F32, 6, 10)
    x, y = array(host, device=unchecked), array(np.int32([[1], [-2]]), device=unchecked)
    mask = x > 0
    cases = {
        "second": (lambda: where(mask, x, -0.5), np.where(host > 0, host, np.float32(-0.5))),
        "first": (lambda: where(mask, inf, x), np.where(host > 0, np.float32(inf), host)),
        "both": (lambda: where(mask, 1, -1), np.where(host > 0, np.int32(1), np.int32(-1))),
        "bools": (lambda: where(mask, False, True), ~(host > 0)),
        "broadcast": (lambda: where(mask[0, :3], 7, y), np.where(host[0, :3] > 0, 7, np.int32([[1], [-2]]))),
        "of f16": (lambda: where(mask, x.astype("f16"), 1 / 3), np.where(host > 0, host, 1 / 3).astype("f2")),
    }
    with each_reported() as case:
        for name, (expression, expected) in cases.items():
            with case(name):
                unchecked.cache.forget_plans()
                with unchecked.batch():
                    result = expression()
                launched = [each for plan in unchecked.cache.plans.values() for each in plan.dispatches]
                assert [str(each.spec).count("[where ") for each in launched][-1:] == [1]
                assert not any(str(each.spec).startswith("creation/") for each in launched)
                assert result.dtype == expected.dtype
                np.testing.assert_array_equal(result.numpy(), expected)


def test_gradients_of_where_beside_numbers(unchecked: Device) -> None:
    host = values(F32, 3, 4)
    for first in (True, False):
        x = array(host, device=unchecked)
        x.requires_grad = True
        chosen = where(x > 0, x * x, 2.0) if first else where(x > 0, 2.0, x * x)
        (chosen * x).sum().backward()
        taken = (host > 0) == first
        expected = np.where(taken, 3 * host**2, 2.0)
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)


def test_where_broadcasts_and_takes_numbers(device: Device) -> None:
    a = values(F32, 6, 10)
    x = on(device, a)
    np.testing.assert_array_equal(where(x > 0, x, 0).numpy(), np.where(a > 0, a, np.float32(0)))
    np.testing.assert_array_equal(where(x > 0, 0.5, x).numpy(), np.where(a > 0, np.float32(0.5), a))
    np.testing.assert_array_equal(
        where(x[:, :1] > 0, x[0], 1).numpy(), np.where(a[:, :1] > 0, a[0], np.float32(1))
    )
    both = where(x > 0, 1, -1)
    assert both.dtype == np.int32
    np.testing.assert_array_equal(both.numpy(), np.where(a > 0, 1, -1))
    assert where(array([True, False], device=device), 1, 2.5).dtype == np.float32


def test_f16_and_f32_make_f32(device: Device) -> None:
    needs(device, F16)
    a, b = values(F16, 5), values(F32, 5)
    assert_computed(on(device, a) + on(device, b), "add", a.astype(np.float32), b)
    assert (on(device, a) + np.float32(1)).dtype == np.float32
    assert (on(device, a) + 1.5).dtype == np.float16


def test_numbers_of_either_kind_beside_arrays(device: Device) -> None:
    x, i = array([1.5, 2.5], device=device), array([1, 2], device=device)
    assert (x + 1).tolist() == [2.5, 3.5]
    assert (x + np.float64(0.5)).tolist() == [2.0, 3.0]
    assert (1 - x).tolist() == [-0.5, -1.5]
    assert (x + True).tolist() == [2.5, 3.5]
    assert (i * np.int32(3)).tolist() == [3, 6]
    assert (2**x).dtype == np.float32
    assert (i + 1).dtype == np.int32
    assert (2 < x).tolist() == [False, True]  # noqa: SIM300  It is the reflected way that is tested.
    assert (x == None) is False  # noqa: E711  What is compared is the answer to None.


def test_numpy_arrays_beside_arrays(device: Device) -> None:
    a, b = values(F32, 6, 10, seed=1), values(F32, 10, seed=2)
    x = on(device, a)
    for result in (x + b, b + x, np.add(b, x)):
        assert isinstance(result, Array)
        assert_computed(result, "add", a, b)
    assert_computed(b - x, "subtract", b, a)
    assert (b < x).tolist() == (b < a).tolist()


def test_a_new_number_is_no_new_kernel(unchecked: Device) -> None:
    x = array([1.0], device=unchecked)
    x + 0.5
    before = unchecked.cache_stats()
    for number in (1.5, 2.5, 3.5):
        x + number
    assert unchecked.cache_stats().pipelines == before.pipelines


REFUSED = {
    "int and float": (
        lambda f, i, u, t: f + i,
        r'^add: dtypes do not mix: f32 and i32: convert the i32 operand with \.astype\("f32"\)$',
    ),
    "float and int": (
        lambda f, i, u, t: i + f,
        r'^add: dtypes do not mix: i32 and f32: convert the i32 operand with \.astype\("f32"\)$',
    ),
    "int and unsigned": (
        lambda f, i, u, t: i * u,
        r"^multiply: dtypes do not mix: i32 and u32: convert the one whose values fit, ",
    ),
    "bool and float": (
        lambda f, i, u, t: f + t,
        r'^add: dtypes do not mix: f32 and bool: convert the bool operand with \.astype\("f32"\)$',
    ),
    "bits of floats": (
        lambda f, i, u, t: f & f,
        r"^bitwise_and: not for f32: make a mask of it by comparing, as in x != 0$",
    ),
    "inverted float": (lambda f, i, u, t: ~f, r"^bitwise_invert: not for f32: make a mask "),
    "bits of a float beside a mask": (
        lambda f, i, u, t: t | 1.5,
        r'^bitwise_or: dtypes do not mix: bool and 1\.5: convert the array with \.astype\("f32"\)$',
    ),
    "assigned floats": (
        lambda f, i, u, t: i.assign(f),
        r"^assign: i32 does not hold the values of f32: .*which loses what does not fit$",
    ),
    "float beside int": (
        lambda f, i, u, t: i + 0.5,
        r'^add: dtypes do not mix: i32 and the float 0\.5: .*astype\("f32"\)$',
    ),
    "int beside bool": (lambda f, i, u, t: t == 1, r'^equal: dtypes .*: bool and 1: .*astype\("i32"\)$'),
    "quotient of ints": (lambda f, i, u, t: i / i, r'^divide: not for i32: convert with \.astype\("f32"\)$'),
    "quotient by an int": (lambda f, i, u, t: i / 2, r"^divide: not for i32: "),
    "sum of bools": (lambda f, i, u, t: t + t, r'^add: not for bool: convert with \.astype\("i32"\)$'),
    "negative bool": (lambda f, i, u, t: -t, r"^negative: not for bool: "),
    "negative exponent": (
        lambda f, i, u, t: i**-1,
        r"^pow: an integer to a negative power is no integer: i32 \*\* -1: ",
    ),
    "large int": (lambda f, i, u, t: i + 2**31, r"^add: the integer does not fit i32: 2147483648, it holds "),
    "negative beside unsigned": (lambda f, i, u, t: u - -1, r"^subtract: the integer does not fit u32: -1, "),
    "large float": (lambda f, i, u, t: f * 1e39, r"^multiply: the number does not fit f32: 1e\+39$"),
    "float64": (
        lambda f, i, u, t: f + np.ones(2),
        r'^asarray: arrays do not hold float64: say dtype="f32", ',
    ),
    "int64": (
        lambda f, i, u, t: i + np.arange(2),
        r'^asarray: arrays do not hold int64: say dtype="i32", which refuses integers that do not fit$',
    ),
    "int64 number": (
        lambda f, i, u, t: i + np.int64(1),
        r'^add: arrays do not hold int64: say dtype="i32", ',
    ),
    "where": (
        lambda f, i, u, t: where(f, f, f),
        r"^where: the condition is not bool: f32: compare, as in x != 0$",
    ),
    "where of two": (lambda f, i, u, t: where(t, f, i), r"^where: dtypes do not mix: f32 and i32: "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_lose_digits_is_refused(unchecked: Device, case: str) -> None:
    action, said = REFUSED[case]
    arrays = [array([1, 0], dtype=dtype, device=unchecked) for dtype in ("f32", "i32", "u32")]
    with pytest.raises(DtypeError, match=said):
        action(*arrays, array([True, False], device=unchecked))


def test_shapes_that_do_not_broadcast_are_refused(unchecked: Device) -> None:
    x = array(values(F32, 2, 3), device=unchecked)
    with pytest.raises(ShapeError, match=r"^add: shapes do not broadcast: \(2, 3\), \(3, 2\)$"):
        x + x.T


def test_arrays_of_two_devices_do_not_mix(device: Device) -> None:
    with Device(device.adapter) as other, pytest.raises(DeviceError, match="of another device"):
        array([1.0], device=device) + array([1.0], device=other)


@pytest.mark.parametrize("other", ["text", None, {1.0}, 1j, object()], ids=lambda other: type(other).__name__)
def test_other_operands_are_a_type_error(unchecked: Device, other: object) -> None:
    x = array([1.0], device=unchecked)
    for action in (lambda: x + other, lambda: other * x, lambda: x < other, lambda: x @ other):
        with pytest.raises(TypeError):
            action()
