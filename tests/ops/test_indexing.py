"""`x[key]`, `x[key] = value`, `take` and `nonzero`: NumPy's results for any key, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, IndexingError, ShapeError, UnsupportedError
from rusty_py.dtypes import F16, F32, I32
from rusty_py.ops import scattering

from ..each import each_reported
from .arrays_of import Drawn, drawn
from .operands import needs, on, values
from .test_joining import assert_equal


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> list[Any]:
    """A key for each axis: integers, slices, arrays of indices that broadcast, or a mask; and new axes."""
    parts: list[Any] = []
    count = draw(st.integers(1, 3))
    for size in shape:
        if draw(st.integers(0, 3)) == 0:
            parts.append(None)
        kind = draw(st.sampled_from(["slice", *["integer", "indices", "indices"] * (size > 0), "mask"]))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        if kind == "slice":
            step = draw(st.sampled_from([1, 2, -1]))
            parts.append(slice(draw(st.sampled_from([None, 1])), draw(st.sampled_from([None, -1])), step))
        elif kind == "integer":
            parts.append(draw(st.integers(-size, size - 1)))
        elif kind == "indices":
            parts.append(rng.integers(-size, size, draw(st.sampled_from([(count,), (2, 1), (2, count)]))))
        else:
            mask = rng.random(size) < 0.5
            mask[:1] = True
            mask[1:] &= mask[1:].cumsum() < count  # As many as other indices have, where that is possible.
            parts.append(mask)
    return parts


def ours(device: Device, key: list[Any]) -> tuple[Any, ...]:
    """The key with our arrays."""
    made = [each.astype(np.int32) if getattr(each, "dtype", None) == np.int64 else each for each in key]
    return tuple(on(device, each) if isinstance(each, np.ndarray) else each for each in made)


@pytest.mark.one_mode
@settings(max_examples=40)
@given(shape=drawn(min_ndim=1), data=st.data())
def test_any_key_chooses_what_numpy_chooses(device: Device, shape: Drawn, data: st.DataObject) -> None:
    host, x = shape.on(device)
    key = data.draw(keys(shape.shape))
    try:
        expected = host[tuple(key)]
    except IndexError:  # Indices that do not broadcast.
        if any(isinstance(each, np.ndarray) for each in key):
            with pytest.raises((ShapeError, IndexingError)):
                x[ours(device, key)]
        return
    assert_equal(x[ours(device, key)], expected)
    assert_equal(x[tuple(key)], expected)


@pytest.mark.one_mode
@settings(max_examples=30)
@given(shape=drawn(min_ndim=1), data=st.data())
def test_any_key_sets_what_numpy_sets(device: Device, shape: Drawn, data: st.DataObject) -> None:
    host, x = shape.on(device)
    key = data.draw(keys(shape.shape))
    try:
        chosen = host[tuple(key)].shape
    except IndexError:
        return
    changed = host.copy()
    changed[tuple(key)] = 7
    x[ours(device, key)] = 7
    assert_equal(x, changed)
    # Of an index that comes twice either value may stay: so equal elements get equal values.
    value = (np.arange(host.size).reshape(host.shape) + 100)[tuple(key)].astype(host.dtype)
    assert value.shape == chosen
    changed[tuple(key)] = value
    x[ours(device, key)] = on(device, value)
    assert_equal(x, changed)


def test_masks_choose_and_set(device: Device) -> None:
    a = values(F32, 4, 5, 6)
    rows = values(F32, 5, 6, seed=1)
    for mask in (a > 0.5, (a > 0.5)[:, :, 0], (a > 0.5)[:, 0, 0], a > 99):
        for host in (mask, on(device, mask)):
            x, changed = on(device, a), a.copy()
            assert_equal(x[host], a[mask])
            x[host] = -1.0
            changed[mask] = -1.0
            assert_equal(x, changed)
            for value in (rows, rows[0]):
                if value.ndim <= a.ndim - mask.ndim:
                    x[host] = value
                    changed[mask] = value
                    assert_equal(x, changed)
            each = values(F32, *changed[mask].shape, seed=2)
            x[host] = each
            changed[mask] = each
            assert_equal(x, changed)
        for found, expected in zip(rp.nonzero(on(device, mask)), np.nonzero(mask), strict=True):
            assert_equal(found, expected.astype(np.int32))
    x = on(device, a)
    x[::2, :, 1:4][on(device, a[::2, :, 1:4] < 0)] = 0  # A view.
    a[::2, :, 1:4][a[::2, :, 1:4] < 0] = 0
    assert_equal(x, a)
    for found, expected in zip(rp.nonzero(on(device, a)), np.nonzero(a), strict=True):
        assert_equal(found, expected.astype(np.int32))


def test_what_is_set_may_be_read_from_the_same_memory(device: Device) -> None:
    a = values(F32, 6, 4)
    x, order = on(device, a), np.array([3, 0, 5, 1, 2, 4], np.int32)
    x[on(device, order)] = x
    changed = a.copy()
    changed[order] = a
    assert_equal(x, changed)
    i = on(device, order)
    i[i] = i
    assert_equal(i, np.arange(6, dtype=np.int32))
    x[1:] = x[:-1]
    changed[1:] = changed[:-1].copy()
    assert_equal(x, changed)
    x[0] += 1
    changed[0] += 1
    assert_equal(x, changed)


def test_every_dtype_is_chosen_and_set(device: Device) -> None:
    with each_reported() as case:
        for kind in (F16, F32, I32, rp.dtypes.U32, rp.dtypes.BOOL):
            with case(kind.name):
                if kind is F16:
                    needs(device, kind)
                a, index = values(kind, 9, 5), np.array([4, -1, 0], np.int32)
                x = on(device, a)
                assert_equal(x[on(device, index)], a[index])
                x[on(device, index)] = a[:3]
                changed = a.copy()
                changed[index] = a[:3]
                assert_equal(x, changed)
                x[on(device, changed == a[0, 0])] = a[1, 1]
                changed[changed == a[0, 0]] = a[1, 1]
                assert_equal(x, changed)


def test_an_index_that_is_out_of_bounds_reads_zero_and_sets_nothing(unchecked: Device) -> None:
    a = values(F32, 4, 8)
    x, index = on(unchecked, a), on(unchecked, np.array([4, 1, -5, 2**31 - 1, -(2**31), -4], np.int32))
    expected = np.zeros((6, 8), np.float32)
    expected[1], expected[5] = a[1], a[0]
    assert_equal(x[index], expected)
    assert_equal(x.T[:, index], expected.T)
    assert_equal(x[index, index], np.float32([0, a[1, 1], 0, 0, 0, a[0, 4]]))
    x[index] = 5
    a[[1, 0]] = 5
    assert_equal(x, a)
    with pytest.raises(IndexingError, match=r"^index: index out of bounds: 4 on an axis of size 4"):
        x[[0, 4]]


def test_run_time_checks_refuse_an_index_that_is_out_of_bounds(adapter: rp.Adapter) -> None:
    with Device(adapter, checked=True) as device:
        x, index = rp.ones((4, 3), device=device), rp.array([0, 4], device=device)
        for call in (
            lambda: x[index],
            lambda: x.__setitem__(index, 1),
            lambda: rp.take(x, index, axis=0),
            lambda: rp.take_along_axis(x, index.reshape(2, 1) - 5, axis=0),
            lambda: x[:, rp.array([-4], device=device)],
        ):
            with pytest.raises(IndexingError, match=r": index out of bounds: (4|-5|-4) on an axis of size"):
                call()


@pytest.mark.one_mode
@settings(max_examples=30)
@given(shape=drawn(min_ndim=1), data=st.data())
def test_take_gives_what_numpy_gives(device: Device, shape: Drawn, data: st.DataObject) -> None:
    host, x = shape.on(device)
    axis = data.draw(st.integers(-host.ndim, host.ndim - 1))
    size = host.shape[axis]
    if size == 0:
        with pytest.raises(IndexingError):
            rp.take(x, [0], axis=axis)
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    index = rng.integers(-size, size, data.draw(st.sampled_from([(), (3,), (2, 2), (0,)]))).astype(np.int32)
    assert_equal(rp.take(x, on(device, index), axis=axis), np.take(host, index, axis=axis))
    assert_equal(
        rp.take(x, index % max(1, host.size)), np.take(host, index % max(1, host.size))
    ) if host.size else None
    sizes = [*host.shape]
    sizes[axis] = data.draw(st.integers(0, 4))
    along = rng.integers(-size, size, sizes).astype(np.int32)
    assert_equal(
        rp.take_along_axis(x, on(device, along), axis=axis), np.take_along_axis(host, along, axis=axis)
    )


def test_values_may_have_more_axes_of_one_element_in_front(unchecked: Device) -> None:
    x, mask = rp.zeros((2, 3), device=unchecked), np.array([True, False, True])
    x[0] = [[1, 2, 3]]
    x[1, mask] = [[[4, 5]]]
    assert x.tolist() == [[1, 2, 3], [4, 0, 5]]
    x[:, [1]] = np.full((1, 2, 1), 7, np.float32)
    assert x.tolist() == [[1, 7, 3], [4, 7, 5]]
    with pytest.raises(ShapeError, match=r"^index: shapes differ: \(3,\) takes \(2, 3\)"):
        x[0] = x


def test_what_is_no_key_is_refused(unchecked: Device) -> None:
    x = rp.ones((3, 4), device=unchecked)
    for key, said in (
        (1.5, "index: takes integers, slices, ..., None and arrays of indices: got float"),
        (True, "index: takes integers, .*: got bool"),
        (([0], [1], [2]), r"index: more indices than axes: 3 for shape \(3, 4\)"),
        (np.ones((3, 3), bool), r"index: a mask of shape \(3, 3\) for axes of shape \(3, 4\)"),
    ):
        with pytest.raises(IndexingError, match=f"^{said}"):
            x[key]
        with pytest.raises(IndexingError, match=f"^{said}"):
            x[key] = 1
    for key in ([0.5], rp.ones(2, device=unchecked), np.ones(2)):
        with pytest.raises(DtypeError, match=r"^index: indices are "):
            x[key]
    with pytest.raises(ShapeError, match=r"^index: shapes differ: \(2, 4\) takes \(3,\)|do not broadcast"):
        x[[0, 1]] = np.ones(3, np.float32)
    with pytest.raises(ShapeError, match=r"^index: "):
        x[0] = np.ones((2, 4), np.float32)
    with pytest.raises(DtypeError, match=r"^index: dtypes do not mix: i32 and the float"):
        rp.ones(3, dtype="i32", device=unchecked)[:2] = 0.5
    with pytest.raises(UnsupportedError, match=r"^index: elements share memory"):
        rp.broadcast_to(x[0], (3, 4))[[0]] = 1


def test_in_a_capture_indices_are_replayed_and_masks_are_refused(unchecked: Device) -> None:
    a = values(F32, 5, 3)
    x, index = on(unchecked, a), on(unchecked, np.array([3, 0], np.int32))
    with unchecked.capture() as graph:
        chosen = x[index]
        x[x < 0] = 0.0
        for call in (lambda: x[x > 0], lambda: rp.nonzero(x)):
            with pytest.raises(UnsupportedError, match=r"not in a capture, where the number of elements"):
                call()
    graph.replay()
    assert_equal(chosen, a[[3, 0]])
    assert_equal(x, np.maximum(a, 0))
    index.assign([1, 2])
    graph.replay()
    assert_equal(chosen, np.maximum(a, 0)[[1, 2]])


def test_sums_of_equal_indices_are_right_and_bit_equal(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for way in ("lines", "rows", "runs"):  # The last two are a GPU's.
        monkeypatch.setattr(scattering, "_way", lambda *_, way=way: way)
        unchecked.cache.forget_plans()
        for rows, n, width in ((1, 3000, 5), (7, 1100, 1030), (50, 1, 3), (2, 1025, 1)):
            index = rng.integers(-rows, rows + 2, n).astype(np.int32)
            index[: n // 2] = 0
            g = rng.standard_normal((n, width)).astype(np.float32)
            table = on(unchecked, np.zeros((rows, width), np.float32))
            found = []
            for _ in range(2):
                table.requires_grad = True
                table.grad = None
                table[on(unchecked, index)].backward(on(unchecked, g))
                assert isinstance(table.grad, Array)
                found.append(table.grad.numpy())
            assert np.array_equal(*found)
            expected, size = np.zeros((rows, width)), np.zeros((rows, width))
            inside = index < rows
            np.add.at(expected, index[inside], g[inside].astype(np.float64))
            np.add.at(size, index[inside], np.abs(g[inside]))
            assert (np.abs(found[0] - expected) <= n * F32.eps / 2 * size + 1e-30).all()


def test_what_is_recorded_is_not_set(unchecked: Device) -> None:
    x = rp.ones((3, 2), device=unchecked)
    x.requires_grad = True
    mask = on(unchecked, np.array([True, False, True]))
    for key in (0, [0, 1], mask, (slice(None), 1)):
        with pytest.raises(UnsupportedError):
            (x * 2)[key] = 1
        with pytest.raises(UnsupportedError):
            x[key] = 1
    x[mask].sum().backward()
    assert isinstance(x.grad, Array)
    assert x.grad.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_a_choice_has_second_derivatives(unchecked: Device) -> None:
    a, index = values(F32, 5, 3), on(unchecked, np.array([4, 1, 1], np.int32))
    x = on(unchecked, a)

    def slopes(x: Array) -> Array:
        return (rp.grad(lambda y: (y[index] ** 3).sum())(x) ** 2).sum()

    counts = np.array([0, 2, 0, 0, 1], np.float64)[:, None]
    np.testing.assert_allclose(
        rp.grad(slopes)(x).numpy(), 36 * counts**2 * a.astype(np.float64) ** 3, rtol=1e-5
    )
