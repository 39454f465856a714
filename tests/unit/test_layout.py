"""Derived layouts are found by keys: each must be what NumPy's rules give, and no key may mean two things."""

from types import EllipsisType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.dtypes import F32
from rusty_py.layout import Layout, index_key, layout_at, layout_of, layout_permuted, layout_reshaped
from rusty_py.views import View, indexed

SHAPE = (5, 4, 6)
_parts = st.none() | st.integers(-8, 8)
_slices = st.builds(slice, _parts, _parts, st.none() | st.integers(-3, 3).filter(bool))
_index = st.lists(st.integers(-4, 3) | _slices | st.none() | st.just(...), max_size=4)


@given(
    st.integers(0, 9),
    _index.filter(lambda each: each.count(...) < 2 and sum(part not in (None, ...) for part in each) < 4),
)
def test_an_index_chooses_what_views_say(offset: int, index: list[int | slice | EllipsisType | None]) -> None:
    layout = layout_of(F32, SHAPE, offset=offset)
    key = index_key(tuple(index))
    assert key is not None
    distance, chosen = layout_at(layout, key)
    view = indexed(View(offset, SHAPE, layout.strides), tuple(index))
    expected = layout_of(F32, view.shape, view.strides, view.offset)
    assert offset + distance == view.offset
    assert (chosen if view.offset else chosen.at_start) is expected


def test_an_index_that_leads_back_to_the_start_has_the_layout_of_the_start() -> None:
    turned = layout_of(F32, (3,), (-1,), 2)
    distance, chosen = layout_at(turned, index_key(slice(None, None, -1)) or ())
    assert (distance, chosen.at_start) == (-2, layout_of(F32, (3,)))


@pytest.mark.parametrize(
    "index", [1.0, True, np.int64(1), slice(1.0), slice(True), slice(0, np.int64(1)), (1, True), [1], "1", {}]
)
def test_what_equals_an_integer_and_is_none_has_no_key(index: object) -> None:
    assert index_key(index) is None


def test_slices_and_their_parts_have_other_keys() -> None:
    keys = [index_key(each) for each in (slice(1, 2, 3), (1, 2, 3), (slice(1, 2, 3), 4), slice(1, 2), 1, ...)]
    assert len(set(keys)) == len(keys)
    assert index_key((slice, 1, 2, 3)) is None


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("offset", [0, 3, 4])
def test_axes_are_permuted_as_numpys(axes: tuple[int, ...], offset: int) -> None:
    layout = layout_of(F32, SHAPE, offset=offset)
    x = np.empty(SHAPE, np.float32).transpose(axes)
    expected = layout_of(F32, x.shape, tuple(each // x.itemsize for each in x.strides), offset)
    assert layout_permuted(layout, axes) is expected
    if axes == (0, 2, 1):
        assert layout.matrix_transposed is expected
    if axes == (2, 1, 0):
        assert layout.transposed is expected


def test_a_reshape_is_none_where_it_takes_a_copy() -> None:
    layout: Layout = layout_of(F32, SHAPE, offset=5)
    assert layout_reshaped(layout, (20, 6)) is layout_of(F32, (20, 6), offset=5)
    assert layout_reshaped(layout.transposed, (30, 4)) is None
