"""Sorts by counting, in workgroup memory and by radix, as on GPUs and CPU drivers, against NumPy's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Device, DtypeError, ShapeError
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype
from rusty_py.ops.sort import kernels
from rusty_py.ops.sort.operations import sorted_order, sorted_values
from rusty_py.samples import with_specials

from ..each import each_reported
from .operands import LAYOUTS, needs, on

pytestmark = pytest.mark.one_mode


@contextmanager
def as_gpu(device: Device, *, subgroups: bool = False, **limits: object) -> Iterator[None]:
    """Sorts as for a GPU, with these constants of `sort/kernels.py`."""
    if subgroups and "subgroup" not in device.adapter.features:
        pytest.skip(f"{device.adapter} has no subgroups")
    features = device.adapter.features - (set() if subgroups else {"subgroup"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU", features=features))
        for name, value in limits.items():
            patch.setattr(kernels, name, value)
        device.cache.forget_plans()
        yield
    device.cache.forget_plans()


def orders(kind: Dtype, rows: int, n: int) -> dict[str, np.ndarray]:
    """What sorts get wrong."""
    (random,) = with_specials(kind, 1, rows, max(n, 49), seed=n)
    random = random[:, :n]
    number = random[0, 0] if kind.kind != "f" else np.array(-2.5, kind.numpy)
    ascending = np.sort(random, axis=1)
    few = np.random.default_rng(n).integers(0, 3, (rows, n)).astype(kind.numpy)
    equal = np.full((rows, n), number)
    return {"random": random, "few": few, "equal": equal, "sorted": ascending, "reversed": ascending[:, ::-1]}


def assert_sorts(device: Device, x: np.ndarray, axis: int = -1, *, descending: bool = False) -> None:
    """The values, and the indices."""
    array = on(device, x)
    indices = rp.argsort(array, axis=axis, descending=descending)
    assert indices.dtype == np.int32
    np.testing.assert_array_equal(indices, sorted_order(x, axis=axis, descending=descending))
    values = rp.sort(array, axis=axis, descending=descending)
    assert values.dtype == x.dtype
    np.testing.assert_array_equal(values, sorted_values(x, axis=axis, descending=descending))


def test_sorts_of_a_cpu_driver_across_every_limit(device: Device) -> None:
    with pytest.MonkeyPatch.context() as patch, each_reported() as case:
        patch.setattr(kernels, "MIN_CPU_BLOCK", 300)
        for rows, n in (
            (2, 1),
            (2, 2),
            (5, 128),
            (5, 129),
            (2, 256),
            (2, 257),
            (2, 300),
            (2, 301),
            (2, 1000),
        ):
            for name, x in orders(F32, rows, n).items():
                with case(f"{rows} of {n} {name}"):
                    assert_sorts(device, x)
        with case("a hundred thousand"):
            assert_sorts(device, np.random.default_rng(0).integers(-(2**31), 2**31, 100_000, np.int32))


@pytest.mark.parametrize("subgroups", [True, False], ids=["subgroups", "workgroup memory"])
def test_sorts_of_a_gpu_across_every_limit(unchecked: Device, subgroups: bool) -> None:
    limits = {"BITONIC": ((256, 64), (512, 256)), "KEYS": (4,)}
    with as_gpu(unchecked, subgroups=subgroups, **limits), each_reported() as case:
        for n in (64, 65, 256, 257, 512, 513, 1024, 1025, 5000):
            for name, x in orders(F32, 2, n).items():
                with case(f"{n} {name}"):
                    assert_sorts(unchecked, x, descending=n % 2 == 1)


def test_sorts_have_more_rows_than_a_launch_has_workgroups(unchecked: Device) -> None:
    with pytest.MonkeyPatch.context() as patch, each_reported() as case:
        patch.setattr(unchecked, "limits", replace(unchecked.limits, groups=1))
        patch.setattr(kernels, "MIN_CPU_BLOCK", 5)
        for n in (100, 200):
            with case(f"rows of {n} on a CPU driver"):
                assert_sorts(unchecked, orders(F32, 5, n)["random"])
        with as_gpu(unchecked, BITONIC=((256, 64), (512, 256)), KEYS=(4,)):
            for n in (60, 200, 1100):
                with case(f"rows of {n} on a GPU"):
                    assert_sorts(unchecked, orders(F32, 3, n)["random"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ELEMENTS.values(), ids=lambda kind: kind.name)
def test_radix_sorts_of_every_dtype_on_a_gpu(unchecked: Device, kind: Dtype) -> None:
    needs(unchecked, kind)
    with as_gpu(unchecked, subgroups=True), each_reported() as case:
        for n in (2048, 2049, 70_000):
            for name, x in orders(kind, 1, n).items():
                with case(f"{n} {name}"):
                    assert_sorts(unchecked, x)
                    assert_sorts(unchecked, x, descending=True)


@pytest.mark.parametrize("kind", ELEMENTS.values(), ids=lambda kind: kind.name)
def test_sorts_of_any_layout(unchecked: Device, kind: Dtype) -> None:
    needs(unchecked, kind)
    (x,) = with_specials(kind, 1, 6, 10)
    with each_reported() as case:
        for layout, view in LAYOUTS.items():
            seen, array = np.asarray(view(x)), view(on(unchecked, x))
            for axis in range(seen.ndim):
                with case(f"{layout} over {axis}"):
                    np.testing.assert_array_equal(rp.argsort(array, axis=axis), sorted_order(seen, axis=axis))
                    np.testing.assert_array_equal(rp.sort(array, axis=axis), np.sort(seen, axis=axis))
        for n in (300, 301):  # By radix, from an odd place on.
            (long,) = with_specials(kind, 1, 1, n + 1)
            with case(f"{n} of {kind.name} by radix"):
                seen = long[0, 1:]
                order = rp.argsort(on(unchecked, long)[0, 1:], descending=True)
                np.testing.assert_array_equal(order, sorted_order(seen, descending=True))


@settings(max_examples=25)
@given(
    x=hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, min_side=0, max_side=30)),
    data=st.data(),
)
def test_sorts_of_anything(unchecked: Device, x: np.ndarray, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    assert_sorts(unchecked, x, axis, descending=data.draw(st.booleans()))


def test_zeros_and_what_is_not_a_number_have_their_places(unchecked: Device) -> None:
    negative_nan = np.array(0xFFC00001, np.uint32).view(np.float32)
    x = on(unchecked, np.array([np.nan, 0.0, -0.0, np.inf, negative_nan, -np.inf, -1e-45, 0.0], np.float32))
    assert rp.argsort(x).tolist() == [5, 6, 1, 2, 7, 3, 0, 4]
    assert rp.argsort(x, descending=True).tolist() == [0, 4, 3, 1, 2, 7, 6, 5]
    assert np.signbit(rp.sort(x).numpy()[2:5]).tolist() == [True, False, False]
    assert np.isnan(rp.sort(x).numpy()[6:]).all()
    assert np.isnan(rp.sort(x, descending=True).numpy()[:2]).all()


def assert_top(device: Device, x: np.ndarray, k: int, axis: int = -1) -> None:
    values, indices = rp.top_k(on(device, x), k, axis=axis)
    assert indices.dtype == np.int32
    order = np.take(sorted_order(x, axis=axis, descending=True), range(k), axis)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis))


def test_the_largest_elements_are_the_first_of_a_descending_sort(unchecked: Device) -> None:
    with each_reported() as case:
        for n, ks in ((1, (1,)), (60, (1, 60)), (300, (0, 7, 300)), (1100, (1, 130, 1100))):
            for name, x in orders(F32, 2, n).items():
                for k in ks:
                    with case(f"{k} of {n}, {name}"):
                        assert_top(unchecked, x, k)
        with case("over the first axis"):
            assert_top(unchecked, orders(I32, 70, 3)["few"], 5, 0)
        # By a sort in workgroup memory, and by selection from blocks.
        with as_gpu(unchecked):
            for n, k in (
                (64, 3),
                (70, 3),
                (512, 3),
                (513, 3),
                (2048, 256),
                (8192, 10),
                (8193, 10),
                (40_000, 256),
                (5000, 1),
            ):
                for name in ("random", "few", "reversed"):
                    with case(f"{k} of {n}, {name}, on a GPU"):
                        assert_top(unchecked, orders(F32, 2, n)[name], k)
    with pytest.raises(ShapeError, match=r"^top_k: more elements than there are.*: 4 of 3$"):
        rp.top_k(np.ones((3, 5), np.float32), 4, axis=0)


def gathered(k: int, n: int) -> np.ndarray:
    """The largest elements are in k - 1 lists of a block, so that a selection collects all of these lists."""
    lists, _ = kernels.selection(k)
    places = np.arange(n)
    return np.stack([places + n * (places % lists < k - 1), n - places + n * (places % lists < k - 1)])


def test_selections_collect_what_they_have_room_for(unchecked: Device) -> None:
    with as_gpu(unchecked), each_reported() as case:
        for k, n in ((2, 2000), (64, 8192), (64, 2100), (256, 4096)):
            with case(f"{k} of {n}"):
                lists, span = kernels.selection(k)
                assert lists >= k
                assert (k - 1) * -(-span // lists) + 1 <= kernels.COLLECTED
                assert_top(unchecked, gathered(k, n).astype(np.float32), k)


def test_selections_of_every_dtype_in_many_passes(unchecked: Device) -> None:
    with as_gpu(unchecked, SPAN=512), each_reported() as case:
        for kind in (F32, F16, I32, U32):
            needs(unchecked, kind)
            for name, x in orders(kind, 3, 5001).items():
                with case(f"{kind.name} {name}"):
                    assert_top(unchecked, x[:, 1:], 100)
        patched = replace(unchecked.limits, groups=2)
        with pytest.MonkeyPatch.context() as patch, case("more blocks than workgroups"):
            patch.setattr(unchecked, "limits", patched)
            assert_top(unchecked, orders(F32, 3, 1700)["few"], 9)


def test_the_largest_elements_and_sorted_ones_have_gradients(unchecked: Device) -> None:
    x = on(unchecked, np.array([[3, 1, 4, 1], [5, 9, 2, 6]], np.float32))
    weights = on(unchecked, np.array([10, 20], np.float32))
    by_top = rp.grad(lambda x: (rp.top_k(x, 2)[0] * weights).sum())(x)
    assert by_top.tolist() == [[20, 0, 10, 0], [0, 10, 0, 20]]
    ascending = on(unchecked, np.array([1, 2, 3, 4], np.float32))
    by_sort = rp.grad(lambda x: (rp.sort(x, descending=True) * ascending).sum())(x)
    assert by_sort.tolist() == [[2, 3, 1, 4], [3, 1, 4, 2]]
    flat = rp.grad(lambda x: rp.sort(x, axis=None)[0])(x)
    assert flat.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]


def test_numpys_sorts_are_ours(unchecked: Device) -> None:
    x = np.array([[3, 1, 2], [9, 8, 7]], np.int32)
    for result, expected in (
        (np.sort(on(unchecked, x)), np.sort(x)),
        (np.sort(on(unchecked, x), 0), np.sort(x, 0)),
        (np.sort(on(unchecked, x), axis=None), np.sort(x, axis=None)),
        (np.argsort(on(unchecked, x), axis=0, stable=True), np.argsort(x, axis=0)),
        (np.searchsorted(on(unchecked, x[0, 1:]), on(unchecked, x)), np.searchsorted(x[0, 1:], x)),
        (np.diff(on(unchecked, x), 2), np.diff(x, 2)),
    ):
        assert isinstance(result, rp.Array)
        np.testing.assert_array_equal(result, expected)
    assert rp.sort(on(unchecked, x[:, :0])).shape == (2, 0)
    with pytest.raises(ShapeError, match=r"^argsort: no such axis: 2 of 2$"):
        rp.argsort(x, axis=2)


@pytest.mark.parametrize("kind", ELEMENTS.values(), ids=lambda kind: kind.name)
def test_searches_find_either_side(unchecked: Device, kind: Dtype) -> None:
    needs(unchecked, kind)
    with each_reported() as case:
        for n in (1, 2, 7, 64, 1001):
            (x,) = with_specials(kind, 1, 2, max(n, 49))
            found, queries = np.sort(x[0, :n]), np.concatenate([x[1], x[0]])
            for side in ("left", "right"):
                with case(f"{n}, {side}"):
                    result = rp.searchsorted(on(unchecked, found), on(unchecked, queries), side=side)
                    np.testing.assert_array_equal(result, np.searchsorted(found, queries, side))
                with case(f"{n}, {side}, backwards, through a sorter"):
                    order = np.argsort(x[0, :n][::-1], kind="stable").astype(np.int32)
                    array = on(unchecked, x[0, :n])[::-1]
                    result = rp.searchsorted(
                        array, on(unchecked, queries)[::2], side=side, sorter=on(unchecked, order)
                    )
                    expected = np.searchsorted(x[0, :n][::-1], queries[::2], side, sorter=order)
                    np.testing.assert_array_equal(result, expected)


def test_searches_take_numbers_and_refuse_what_does_not_fit(unchecked: Device) -> None:
    x = on(unchecked, np.array([1, 2, 2, 5], np.float32))
    assert rp.searchsorted(x, 2, side="right").item() == 3
    assert rp.searchsorted(x[:0], x).tolist() == [0] * 4
    assert rp.searchsorted(x, x[:0]).shape == (0,)
    if "shader-f16" in unchecked.adapter.features:
        assert rp.searchsorted(x, x.astype("f16")).tolist() == [0, 1, 1, 3]
    with pytest.raises(ShapeError, match=r'^searchsorted: side is "left" or "right": got \'middle\'$'):
        rp.searchsorted(x, 2, side="middle")
    with pytest.raises(ShapeError, match=r"^searchsorted: x1 has one axis: shape \(2, 2\)"):
        rp.searchsorted(x.reshape(2, 2), 2.0)
    with pytest.raises(ShapeError, match=r"^searchsorted: shapes differ: x1 is \(4,\), sorter is \(3,\)$"):
        rp.searchsorted(x, 2.0, sorter=np.arange(3, dtype=np.int32))
    with pytest.raises(DtypeError, match=r"^searchsorted: sorter is of integers: got f32$"):
        rp.searchsorted(x, 2.0, sorter=x)
    with pytest.raises(DtypeError, match=r"^searchsorted: dtypes do not mix: f32 and i32"):
        rp.searchsorted(x, x.astype("i32"))


def test_differences_of_any_order(unchecked: Device) -> None:
    with each_reported() as case:
        for kind in (F32, F16, I32, U32, BOOL):
            x = np.random.default_rng(1).integers(0, 9, (6, 10)).astype(kind.numpy)
            for layout, view in LAYOUTS.items():
                seen, array = np.asarray(view(x)), view(on(unchecked, x))
                for axis in range(seen.ndim):
                    for n in (0, 1, 2, 7):
                        with case(f"{kind.name}, {layout} over {axis}, {n} times"):
                            result = rp.diff(array, axis=axis, n=n)
                            np.testing.assert_array_equal(result, np.diff(seen, n, axis))
    with pytest.raises(ShapeError, match=r"^diff: the number of differences is not negative: -1$"):
        rp.diff(on(unchecked, x), n=-1)
