"""Arrays from values and from formulas."""

from itertools import product

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DeviceError, DtypeError, LimitError, ShapeError
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype

from ..each import each_reported
from .operands import KINDS, needs
from .test_matmul import small

EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
SHAPES = [(), 0, 1, 13, (3, 5), (2, 0, 3), 70_001]


def assert_same(x: Array, expected: np.ndarray) -> None:
    host = x.numpy()
    assert host.dtype == expected.dtype
    assert host.shape == expected.shape
    np.testing.assert_array_equal(host, expected)


@EVERY_KIND
def test_zeros_ones_and_full(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    kwargs = {"dtype": kind, "device": device}
    value = {"f": -1.25, "i": -7, "u": 2**32 - 1, "b": True}[kind.kind]
    with each_reported() as case:
        for shape in SHAPES:
            with case(shape):
                assert_same(rp.zeros(shape, **kwargs), np.zeros(shape, kind.numpy))
                assert_same(rp.ones(shape, **kwargs), np.ones(shape, kind.numpy))
                assert_same(rp.full(shape, value, **kwargs), np.full(shape, value, kind.numpy))
                empty = rp.empty(shape, **kwargs)
                assert (empty.shape, empty.dtype) == (np.empty(shape).shape, kind.numpy)


def test_a_dtype_is_named_by_position_as_well(unchecked: Device) -> None:
    for made in (
        rp.zeros(3, "i32", device=unchecked),
        rp.ones(3, np.int32, device=unchecked),
        rp.empty(3, "i32", device=unchecked),
        rp.full(3, 2, "i32", device=unchecked),
        rp.array([1, 2], "i32", device=unchecked),
        rp.asarray(np.arange(3), np.int32, device=unchecked),
        rp.arange(0, 3, 1, "i32", device=unchecked),
    ):
        assert made.dtype == np.int32


def test_a_number_gives_its_dtype_to_what_it_fills(device: Device) -> None:
    assert rp.full(2, 1, device=device).dtype == np.int32
    assert rp.full(2, 1.0, device=device).dtype == np.float32
    assert rp.full(2, True, device=device).dtype == np.bool_
    assert rp.full(2, np.uint32(1), device=device).dtype == np.uint32
    assert np.isnan(rp.full(2, np.nan, device=device).numpy()).all()


def test_many_words_are_for_workgroups_in_two_dimensions(device: Device) -> None:
    with small(device, groups=7) as narrow:
        assert_same(rp.full(10_007, 2.5, device=narrow), np.full(10_007, 2.5, np.float32))
        assert_same(rp.arange(10_007, device=narrow), np.arange(10_007, dtype=np.int32))


def test_zeros_keep_their_sign_and_numbers_their_type(device: Device) -> None:
    for value in (0.0, -0.0, 0, False, -0.0, 0.0):
        for kind in ("f32", "f16") if "shader-f16" in device.adapter.features else ("f32",):
            filled = rp.full(3, value, dtype=kind, device=device).numpy()
            np.testing.assert_array_equal(np.signbit(filled), np.signbit(np.full(3, float(value))))
    for value, kind in ((1, I32), (1.0, F32), (True, BOOL), (1, I32)):
        assert rp.full(2, value, device=device).dtype == kind.numpy
        if kind is not BOOL:
            assert rp.arange(value, 3, device=device).dtype == kind.numpy


RANGES = [(0,), (5,), (2, 9), (9, 2), (9, 2, -1), (0, 10, 3), (-5, 5, 4), (10, -10, -7), (70_001,)]


@pytest.mark.parametrize("kind", [I32, U32, F32, F16], ids=lambda kind: kind.name)
def test_arange_of_integers_is_exact(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    with each_reported() as case:
        for numbers in RANGES:
            expected = np.arange(*numbers)
            fits = not expected.size or (
                (kind.kind != "u" or expected.min() >= 0) and (kind is not F16 or max(expected) < 2048)
            )
            with case(numbers):
                if fits:
                    assert_same(rp.arange(*numbers, dtype=kind, device=device), expected.astype(kind.numpy))
                else:
                    with pytest.raises(DtypeError, match=r"^arange: the .* does not fit"):
                        rp.arange(*numbers, dtype=kind, device=device)


@pytest.mark.parametrize(
    "numbers", [(0.0, 1.0, 0.1), (1.5,), (-3.0, 4.0, 0.75), (5.0, -5.0, -0.3), (0, 1e6, 7.7)]
)
def test_arange_of_floats_is_near(device: Device, numbers: tuple[float, ...]) -> None:
    expected = np.arange(*numbers)
    host = rp.arange(*numbers, device=device).numpy()
    assert host.dtype == np.float32
    start, step = (numbers[0], numbers[2]) if len(numbers) == 3 else (0.0, 1.0)
    bound = 1.5 * F32.eps * (abs(start) + np.arange(expected.size) * abs(step))
    assert (np.abs(host - expected) <= bound).all()


def test_arange_gives_ints_for_ints_and_floats_for_floats(device: Device) -> None:
    assert rp.arange(3, device=device).dtype == np.int32
    assert rp.arange(3.0, device=device).dtype == np.float32
    assert rp.arange(0, 3, 0.5, device=device).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert rp.arange(2**31 - 2, 2**31, device=device).tolist() == [2**31 - 2, 2**31 - 1]


@EVERY_KIND
def test_eye_is_numpys(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    with each_reported() as case:
        for arguments, k in product([(4,), (3, 5), (5, 3), (0,), (3, 0)], [0, 1, -1, 2, -7]):
            with case(f"{arguments}, k={k}"):
                x = rp.eye(*arguments, k=k, dtype=kind, device=device)
                assert_same(x, np.eye(*arguments, k=k, dtype=kind.numpy))


def test_array_copies_and_asarray_does_not(device: Device) -> None:
    x = rp.array([1.0, 2.0], device=device)
    assert rp.asarray(x) is x
    assert rp.asarray(x, dtype="f32", device=device) is x
    assert rp.array(x).buffer is not x.buffer
    assert rp.asarray(x, copy=True).buffer is not x.buffer
    assert rp.asarray(x, dtype="i32").tolist() == [1, 2]
    for action in (lambda: rp.asarray(x, dtype="i32", copy=False), lambda: rp.asarray([1.0], copy=False)):
        with pytest.raises(ValueError, match=r"^asarray: .*: leave copy=False out$"):
            action()


def test_the_default_device_is_the_default(unchecked: Device) -> None:
    assert rp.default_device() is unchecked
    for x in (rp.array([1]), rp.zeros(1), rp.ones(1), rp.full(1, 1), rp.empty(1), rp.arange(1), rp.eye(1)):
        assert x.device is unchecked


def test_an_array_stays_on_its_device(unchecked: Device) -> None:
    x = rp.zeros(1, device=unchecked)
    with (
        Device(unchecked.adapter) as other,
        pytest.raises(DeviceError, match=r"^asarray: an array of another"),
    ):
        rp.asarray(x, device=other)


@pytest.mark.parametrize(
    ("action", "error", "said"),
    [
        (lambda on: rp.zeros(-1, **on), ShapeError, r"^zeros: sizes are not negative"),
        (lambda on: rp.empty("x", **on), ShapeError, r"^empty: a shape is an integer"),
        (lambda on: rp.full(2, 2**31, **on), DtypeError, r"^full: the integer does not fit i32"),
        (lambda on: rp.full(2, 1.5, dtype="i32", **on), DtypeError, r"^full: dtypes do not mix"),
        (lambda on: rp.full(2, 2, dtype=BOOL, **on), DtypeError, r"^full: dtypes do not mix"),
        (lambda on: rp.zeros(2, dtype="f64", **on), DtypeError, r"^zeros: "),
        (lambda on: rp.arange(0, 3, 0, **on), ShapeError, r"^arange: the step is not zero, and all "),
        (lambda on: rp.arange(2**31 + 1, **on), DtypeError, r"^arange: the integer does not fit i32"),
        (lambda on: rp.arange(10**400, **on), DtypeError, r"^arange: the integer does not fit i32"),
        (
            lambda on: rp.arange(0.5, 10**400, **on),
            DtypeError,
            r"^arange: the numbers are beyond all floats: ",
        ),
        (lambda on: rp.arange(0.0, 1e308, 1e-308, **on), DtypeError, r"^arange: the numbers are beyond all"),
        (lambda on: rp.arange(1.5, dtype="i32", **on), DtypeError, r"^arange: not for i32"),
        (lambda on: rp.arange(3, dtype="bool", **on), DtypeError, r"^arange: not for bool"),
        (lambda on: rp.arange(-1, dtype="u32", **on), None, ""),
        (
            lambda on: rp.array(np.zeros(2), **on),
            DtypeError,
            r'^asarray: arrays do not hold float64: say dtype="f32"',
        ),
        (lambda on: rp.array(object(), **on), DtypeError, r"^asarray: arrays do not hold object"),
    ],
)
def test_what_cannot_be_made_is_refused(
    unchecked: Device, action: object, error: type[Exception] | None, said: str
) -> None:
    if error is None:
        assert action({"device": unchecked}).size == 0
    else:
        with pytest.raises(error, match=said):
            action({"device": unchecked})


def test_an_array_larger_than_a_buffer_is_refused(unchecked: Device) -> None:
    with (
        small(unchecked, buffer_bytes=4096) as narrow,
        pytest.raises(LimitError, match=r"^buffer: 'full' is larger"),
    ):
        rp.zeros(1025, device=narrow)


def test_the_array_apis_names_are_ours(device: Device) -> None:
    assert rp.full(shape=(2,), fill_value=1.5, dtype=None, device=device).tolist() == [1.5, 1.5]
    for made in (rp.zeros, rp.ones, rp.empty, rp.eye):
        assert made(2, dtype=None, device=device).dtype == np.float32


@EVERY_KIND
def test_arrays_like_another_have_its_shape_dtype_and_device(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    x = rp.zeros((2, 6), dtype=kind, device=device)[:, ::2]
    value = {"f": -1.25, "i": -7, "u": 2**32 - 1, "b": True}[kind.kind]
    host = x.numpy()
    for made, expected in (
        (rp.zeros_like(x), np.zeros_like(host)),
        (rp.ones_like(x), np.ones_like(host)),
        (rp.full_like(x, value), np.full_like(host, value)),
        (rp.ones_like(x, dtype="i32"), np.ones_like(host, dtype=np.int32)),
    ):
        assert made.device is device
        assert_same(made, expected)
    empty = rp.empty_like(x)
    assert (empty.shape, empty.dtype, empty.device) == (x.shape, x.dtype, device)


def test_linspace_is_within_its_bound_and_exact_at_its_ends(device: Device) -> None:
    with each_reported() as case:
        for start, stop in ((0, 1), (-1.5, 7.25), (5, -3), (2, 2), (-1e30, 3e30), (1, 1 + 2e-7)):
            for num in (0, 1, 2, 3, 10, 1001):
                for endpoint in (True, False):
                    with case((start, stop, num, endpoint)):
                        x = rp.linspace(start, stop, num, endpoint=endpoint, device=device).numpy()
                        expected = np.linspace(start, stop, num, endpoint=endpoint)
                        assert x.dtype == np.float32
                        assert x.shape == expected.shape
                        bound = 1.5 * 2.0**-23 * max(abs(start), abs(stop))
                        assert np.abs(x - expected).max(initial=0) <= bound
                        if num:
                            assert x[0] == np.float32(start)
                        if num > 1 and endpoint:
                            assert x[-1] == np.float32(stop)
    if "shader-f16" in device.adapter.features:
        half = rp.linspace(0, 1, 5, dtype="f16", device=device)
        assert_same(half, np.linspace(0, 1, 5, dtype=np.float16))


def test_linspace_refuses_what_it_has_no_numbers_for(unchecked: Device) -> None:
    with pytest.raises(ShapeError, match=r"^linspace: num is not negative, and all are finite"):
        rp.linspace(0, 1, -1, device=unchecked)
    with pytest.raises(ShapeError, match=r"^linspace: num is not negative, and all are finite"):
        rp.linspace(0, np.inf, 3, device=unchecked)
    with pytest.raises(DtypeError, match=r"^linspace: not for i32"):
        rp.linspace(0, 1, 3, dtype="i32", device=unchecked)
    with pytest.raises(DtypeError, match=r"^linspace: the number does not fit f32"):
        rp.linspace(0, 1e39, 3, device=unchecked)
