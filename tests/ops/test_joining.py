"""Joining and splitting: NumPy's results in any layout, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError
from rusty_py.dtypes import F32

from .arrays_of import Drawn, drawn
from .operands import on, values


def assert_equal(result: Array, expected: np.ndarray) -> None:
    assert isinstance(result, Array)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.one_mode
@settings(max_examples=40)
@given(first=drawn(min_ndim=1), data=st.data())
def test_concat_and_stack_give_what_numpy_gives(device: Device, first: Drawn, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(first.shape), len(first.shape) - 1))
    shapes = [first]
    for _ in range(data.draw(st.integers(0, 2))):
        sizes = [*first.shape]
        sizes[axis] = data.draw(st.integers(0, 5))
        shapes.append(first._replace(shape=tuple(sizes)))
    hosts, arrays = zip(*(each.on(device, seed=i) for i, each in enumerate(shapes)), strict=True)
    assert_equal(rp.concat(arrays, axis=axis), np.concatenate(hosts, axis=axis))
    assert_equal(rp.concat(arrays, axis=None), np.concatenate(hosts, axis=None))
    hosts, arrays = zip(*(first.on(device, seed=i) for i in range(2)), strict=True)
    assert_equal(rp.stack(arrays, axis=axis), np.stack(hosts, axis=axis))


def test_what_is_joined_may_be_the_same_array_and_array_likes(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 3, 4))
    assert_equal(rp.concat([x, x[:1], x.numpy()]), np.concatenate([x.numpy(), x[:1].numpy(), x.numpy()]))
    assert_equal(rp.stack([x[0], [1.0, 2.0, 3.0, 4.0]]), np.stack([x[0].numpy(), np.float32([1, 2, 3, 4])]))
    assert_equal(rp.concat(on(unchecked, values(F32, 2, 3, 4))), np.concatenate(values(F32, 2, 3, 4)))
    assert rp.concatenate is rp.concat


def test_unstack_and_split_are_views_of_what_they_divide(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 4, 6))
    host = x.numpy()
    for axis in (0, 1, -1):
        rows = rp.unstack(x, axis=axis)
        assert len(rows) == x.shape[axis]
        for each, expected in zip(rows, np.moveaxis(host, axis, 0), strict=True):
            assert each.buffer is x.buffer
            assert_equal(each, expected)
    for where, axis in ((2, 0), (3, 1), ([1, 3], 0), ([0, 2, 2, 9], -1), (np.array([1, 5]), 1), ([], 0)):
        parts = rp.split(x, where, axis=axis), np.split(host, where, axis=axis)
        for each, expected in zip(*parts, strict=True):
            assert each.buffer is x.buffer
            assert_equal(each, expected)


def test_what_does_not_join_or_divide_is_refused(unchecked: Device) -> None:
    x, i = rp.ones((2, 3), device=unchecked), rp.ones((2, 3), dtype="i32", device=unchecked)
    for call, said in (
        (lambda: rp.concat([]), "concat: needs 1 array or more"),
        (lambda: rp.concat([x, x[0]]), r"concat: shapes differ in more than axis 0: \(2, 3\), \(3,\)"),
        (
            lambda: rp.concat([x, x.T], axis=1),
            r"concat: shapes differ in more than axis 1: ",
        ),
        (lambda: rp.concat([x[0, 0], x[0, 1]]), "concat: arrays without axes .*: use stack"),
        (lambda: rp.concat([x], axis=2), "concat: no such axis: 2 of 2"),
        (lambda: rp.stack([x, x.T]), r"stack: shapes differ: \(2, 3\) and \(3, 2\)"),
        (lambda: rp.unstack(x[0, 0]), "unstack: needs 1 axis or more"),
        (lambda: rp.split(x, 2, axis=1), "split: not into equal parts: 3 elements along axis 1 in 2 parts"),
        (lambda: rp.split(x, 0), "split: not into equal parts"),
    ):
        with pytest.raises(ShapeError, match=f"^{said}"):
            call()
    with pytest.raises(DtypeError, match=r"^concat: dtypes do not mix: f32 and i32"):
        rp.concat([x, i])


def test_differences_begin_and_end_with_what_is_joined(unchecked: Device) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    y = rp.array(x, device=unchecked)
    for options in (
        {"prepend": x[:, :2]},
        {"append": x[:1], "axis": 0},
        {"prepend": np.float32(1), "append": x, "n": 2},
        {"prepend": x[:1], "append": np.float32(0), "axis": -2},
    ):
        np.testing.assert_array_equal(rp.diff(y, **options).numpy(), np.diff(x, **options))
    assert rp.diff(y.astype("f16"), prepend=0.5).dtype == np.float16
    with pytest.raises(ShapeError, match=r"^concat: shapes differ in more than axis 1"):
        rp.diff(y, prepend=x[:2])
    with pytest.raises(ShapeError, match=r"^diff: "):
        rp.diff(y, axis=2, prepend=x)
