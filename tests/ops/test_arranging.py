"""`roll`, `pad`, `tril` and `triu`: NumPy's results in any layout, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Device, DtypeError, LimitError, ShapeError
from rusty_py.ops import arranging

from .arrays_of import Drawn, drawn
from .test_joining import assert_equal


@pytest.mark.one_mode
@settings(max_examples=40)
@given(shape=drawn(), data=st.data())
def test_roll_and_pad_give_what_numpy_gives(device: Device, shape: Drawn, data: st.DataObject) -> None:
    host, x = shape.on(device)
    ndim = host.ndim
    if not ndim:  # NumPy's roll fails.
        assert_equal(rp.roll(x, 3), host)
        assert_equal(rp.pad(x, 3), host)
        return
    shift = data.draw(st.integers(-7, 7))
    assert_equal(rp.roll(x, shift), np.roll(host, shift))
    axes = data.draw(st.lists(st.integers(0, ndim - 1), max_size=3))
    shifts = [data.draw(st.integers(-7, 7)) for _ in axes]
    assert_equal(rp.roll(x, shifts, axes), np.roll(host, shifts, axes))
    widths = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in range(ndim)]
    assert_equal(rp.pad(x, widths, constant_values=-3), np.pad(host, widths, constant_values=-3))


@pytest.mark.one_mode
@settings(max_examples=25)
@given(shape=drawn(min_ndim=2), k=st.integers(-6, 6))
def test_triangles_are_what_numpy_gives(device: Device, shape: Drawn, k: int) -> None:
    host, x = shape.on(device)
    assert_equal(rp.tril(x, k=k), np.tril(host, k=k))
    assert_equal(rp.triu(x, k=k), np.triu(host, k=k))


def test_the_border_of_a_large_array_is_filled_alone(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arranging, "_FILLED", 0)
    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    x = rp.array(a, device=unchecked)
    for widths in (((1, 2), (3, 0), (0, 4)), ((0, 0), (2, 2), (1, 1)), ((2, 0), (0, 0), (0, 0))):
        assert_equal(rp.pad(x, widths, constant_values=7), np.pad(a, widths, constant_values=7))


def test_widths_are_said_in_short(unchecked: Device) -> None:
    x = rp.ones((2, 3), device=unchecked)
    for width in (2, (1, 2), [(1, 2)], np.array([[1, 0], [0, 2]])):
        assert_equal(rp.pad(x, width), np.pad(x.numpy(), width))
    assert_equal(rp.pad(x, 1, constant_values=np.float32(0.5)), np.pad(x.numpy(), 1, constant_values=0.5))


def test_each_constant_pads_with_its_bits(unchecked: Device) -> None:
    x = rp.ones(3, device=unchecked)
    for value in (0.0, -0.0, 1, True, np.array(2.5), -0.0):  # Equal numbers, and others of other bits.
        padded = rp.pad(x, 1, constant_values=value).numpy()
        np.testing.assert_array_equal(
            padded.view(np.uint32), np.pad(x.numpy(), 1, constant_values=value).view(np.uint32)
        )
    mask, i = x > 0, x.astype("i32")
    assert rp.pad(mask, 1).tolist() == [False, True, True, True, False]
    assert rp.pad(i, 1, constant_values=1).tolist() == [1] * 5
    for array, value in ((i, 1.0), (mask, 0.0), (mask, 2), (x, rp.ones((), device=unchecked)), (x, "1")):
        with pytest.raises(DtypeError, match=r"^pad: "):
            rp.pad(array, 1, constant_values=value)  # type: ignore[arg-type]


def test_a_diagonal_of_any_number_is_beyond_the_matrix(unchecked: Device) -> None:
    x = rp.ones((3, 4), device=unchecked)
    for k in (2**31, 2**32, 10**20):
        assert_equal(rp.tril(x, k=k), np.ones((3, 4), np.float32))
        assert_equal(rp.triu(x, k=k), np.zeros((3, 4), np.float32))
        assert_equal(rp.tril(x, k=-k), np.zeros((3, 4), np.float32))
        assert_equal(rp.triu(x, k=-k), np.ones((3, 4), np.float32))


def test_arrays_without_elements_are_rolled_with_a_gradient(unchecked: Device) -> None:
    for shape in ((0, 3), (3, 0), (0,)):
        x = rp.zeros(shape, device=unchecked)
        assert rp.grad(lambda x: rp.roll(x, 1, axis=0).sum())(x).shape == shape


def test_triangles_select_and_do_not_multiply(unchecked: Device) -> None:
    x = rp.full((3, 3), np.inf, dtype="f32", device=unchecked)
    assert_equal(rp.tril(x), np.tril(x.numpy()))
    assert_equal(rp.triu(x * np.nan, k=1), np.triu(np.full((3, 3), np.nan, np.float32), k=1))


def test_what_cannot_be_arranged_is_refused(unchecked: Device) -> None:
    x, i = rp.ones((2, 3), device=unchecked), rp.ones(3, dtype="i32", device=unchecked)
    for call, said in (
        (lambda: rp.roll(x, (1, 2), axis=0), "roll: a shift for each axis: 2 shifts, 1 axes"),
        (lambda: rp.roll(x, 1, axis=2), "roll: no such axis: 2 of 2"),
        (lambda: rp.pad(x, -1), "pad: widths are integers, not negative: -1"),
        (lambda: rp.pad(x, 0.5), "pad: widths are integers"),
        (lambda: rp.pad(x, [(1, 2)] * 3), "pad: a pair of widths for each of 2 axes"),
        (lambda: rp.tril(i), r"tril: needs 2 axes or more: shape \(3,\)"),
    ):
        with pytest.raises(ShapeError, match=f"^{said}"):
            call()
    with pytest.raises(DtypeError, match=r"^pad: dtypes do not mix: i32 and the float 0\.5"):
        rp.pad(i, 1, constant_values=0.5)
    with pytest.raises(LimitError, match=r"^buffer: 'pad' is larger than"):
        rp.pad(x, 10**8)
