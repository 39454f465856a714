"""Views hold to NumPy: what it can say with strides we say with the same ones."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import IndexingError, ShapeError
from rusty_py.views import (
    View,
    axes_of,
    broadcast,
    broadcast_strides,
    collapse,
    indexed,
    is_row_major,
    reshaped,
    row_major,
    shape_of,
    shape_to,
)

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def elements(view: View) -> np.ndarray:
    """Where the elements of a view are."""
    places = [
        view.offset + sum(i * stride for i, stride in zip(index, view.strides, strict=True))
        for index in np.ndindex(view.shape)
    ]
    return np.array(places, int).reshape(view.shape)


@st.composite
def strided(draw: st.DrawFn) -> tuple[np.ndarray, View]:
    """A view of a whole array, by NumPy's means, as places of elements and as a View."""
    shape = draw(SHAPES)
    whole = np.arange(prod(shape)).reshape(shape)
    steps = draw(st.lists(st.sampled_from([1, 2, -1, -2]), min_size=len(shape), max_size=len(shape)))
    places = whole[(*(slice(None, None, step) for step in steps), ...)].transpose(
        draw(st.permutations(range(len(shape))))
    )
    return places, view_of(places, whole)


def view_of(places: np.ndarray, whole: np.ndarray) -> View:
    start = places.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return View(start // 8, places.shape, tuple(stride // 8 for stride in places.strides))


INDICES = st.one_of(
    st.integers(-4, 3),
    st.none(),
    st.just(...),
    st.slices(4),
    st.builds(slice, *[st.none() | st.integers(-6, 6)] * 2, st.none() | st.sampled_from([-3, -1, 2])),
)


@given(strided(), st.lists(INDICES, max_size=5))
def test_indexing_finds_the_elements_that_numpy_finds(
    case: tuple[np.ndarray, View], key: list[object]
) -> None:
    places, view = case
    try:
        expected = places[tuple(key)]
    except IndexError:
        with pytest.raises(IndexingError):
            indexed(view, tuple(key))
    else:
        found = elements(indexed(view, tuple(key)))
        assert found.shape == np.shape(expected)
        np.testing.assert_array_equal(found, expected)


@given(strided(), st.data())
def test_reshape_shares_memory_where_numpy_does(case: tuple[np.ndarray, View], data: st.DataObject) -> None:
    places, view = case
    sizes, left = [], places.size
    while left > 1:
        sizes.append(data.draw(st.sampled_from([size for size in range(2, left + 1) if left % size == 0])))
        left //= sizes[-1]
    sizes += [1] * data.draw(st.integers(0, 2)) + [0] * (not places.size)
    to = tuple(data.draw(st.permutations(sizes)))
    strides = reshaped(view.shape, view.strides, to)
    if places.size:
        assert (strides is not None) == np.shares_memory(places.reshape(to), places)
    if strides is not None:
        np.testing.assert_array_equal(elements(View(view.offset, to, strides)), places.reshape(to))


@given(strided())
def test_row_major_is_what_numpy_calls_contiguous(case: tuple[np.ndarray, View]) -> None:
    places, view = case
    assert is_row_major(view.shape, view.strides) == places.flags.c_contiguous
    assert is_row_major(view.shape, row_major(view.shape))


@given(strided(), strided())
def test_collapsed_axes_hold_the_same_elements_in_order(
    first: tuple[np.ndarray, View], second: tuple[np.ndarray, View]
) -> None:
    try:
        shape = np.broadcast_shapes(first[0].shape, second[0].shape)
    except ValueError:
        return
    views = [view for _, view in (first, second)]
    assert broadcast(*(view.shape for view in views), operation="add") == shape
    strides = [broadcast_strides(view.shape, view.strides, shape) for view in views]
    sizes, steps = collapse(shape, *strides)
    assert len(sizes) <= len(shape)
    for (places, view), step in zip((first, second), steps, strict=True):
        found = elements(View(view.offset, sizes, step)).ravel()
        np.testing.assert_array_equal(found, np.broadcast_to(places, shape).ravel())


def test_an_array_in_rows_collapses_to_one_axis() -> None:
    shape = (2, 1, 3, 4)
    assert collapse(shape, row_major(shape), (0, 0, 0, 0)) == ((24,), ((1,), (0,)))
    assert collapse((), ()) == ((), ((),))


@pytest.mark.parametrize(
    "key",
    [True, [0, 1], np.array([0, 1]), np.array([True, False]), 1.0, "a", (0, [1]), slice("a"), slice(0, 2, 0)],
    ids=str,
)
def test_other_indices_are_refused(key: object) -> None:
    with pytest.raises(IndexingError, match=r"^index: "):
        indexed(View(0, (2, 2), (2, 1)), key)


def test_integers_of_numpy_are_integers() -> None:
    assert indexed(View(0, (2, 2), (2, 1)), (np.int64(1), np.uint8(0))) == View(2, (), ())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (2, r"^index: out of bounds: 2 on axis 0 of size 2$"),
        ((0, -3), r"^index: out of bounds: -3 on axis 1 of size 2$"),
        ((0, 0, 0), r"^index: more indices than axes: 3 for shape \(2, 2\)$"),
        ((..., ...), r"^index: more indices than axes: "),
        ([0], r"^index: takes integers, slices, \.\.\. and None: got list; choose with rp\.where"),
    ],
    ids=str,
)
def test_a_bad_index_is_refused_with_the_shape(key: object, said: str) -> None:
    with pytest.raises(IndexingError, match=said):
        indexed(View(0, (2, 2), (2, 1)), key)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: shape_of(-1, operation="zeros"), r"^zeros: sizes are not negative: \(-1,\)$"),
        (
            lambda: shape_of((2, 1.5), operation="zeros"),
            r"^zeros: a shape is an integer or a tuple of them: ",
        ),
        (
            lambda: shape_of("ab", operation="zeros"),
            r"^zeros: a shape is an integer or a tuple of them: 'ab'$",
        ),
        (lambda: shape_to(6, (4, -1), old=(2, 3)), r"^reshape: sizes differ: \(2, 3\) has 6 elements"),
        (lambda: shape_to(6, (-1, -1), old=(2, 3)), r"^reshape: sizes differ: "),
        (lambda: shape_to(6, (2, 2), old=(2, 3)), r"asked for \(2, 2\)$"),
        (lambda: shape_to(0, (0, -1), old=(0,)), r"^reshape: sizes differ: "),
        (lambda: axes_of(2, 2, operation="sum"), r"^sum: no such axis: 2 of 2$"),
        (lambda: axes_of((0, -2), 2, operation="sum"), r"^sum: an axis is named twice: \(0, -2\)$"),
        (
            lambda: broadcast((2, 3), (4,), operation="add"),
            r"^add: shapes do not broadcast: \(2, 3\), \(4,\)$",
        ),
    ],
)
def test_shapes_that_cannot_be_are_refused(action: object, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        action()
