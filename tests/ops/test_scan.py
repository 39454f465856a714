"""Cumulative sums and products: by threads, by workgroups, in chunks, from the end; against NumPy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError, oracle
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype
from rusty_py.ops.scan import kernels
from rusty_py.ops.scan.kernels import depth, plan
from rusty_py.ops.scan.operations import reversed_sum
from rusty_py.ops.scan.specs import LARGE, SMALL

from ..each import each_reported
from .operands import KINDS, LAYOUTS, on

pytestmark = pytest.mark.one_mode


@contextmanager
def as_gpu(device: Device, *, subgroups: bool, **limits: int) -> Iterator[None]:
    """Scans as for a GPU, with these constants of `scan/kernels.py`."""
    features = device.adapter.features | {"subgroup"} if subgroups else device.adapter.features - {"subgroup"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU", features=features))
        for name, value in limits.items():
            patch.setattr(kernels, name, value)
        device.cache.forget_plans()
        yield
    device.cache.forget_plans()


def whole(kind: Dtype, *shape: int, seed: int = 0) -> np.ndarray:
    """Numbers whose sums are exact."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(kind.numpy)


def assert_scans(device: Device, x: np.ndarray, axis: int) -> None:
    """The sums from either end, and with an initial one."""
    array = on(device, x)
    np.testing.assert_array_equal(rp.cumulative_sum(array, axis=axis), np.cumsum(x, axis, dtype=x.dtype))
    backwards = np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)
    np.testing.assert_array_equal(reversed_sum(array, axis), backwards)
    ahead = np.concatenate([np.zeros_like(np.take(x, [0], axis)), np.cumsum(x, axis, dtype=x.dtype)], axis)
    np.testing.assert_array_equal(rp.cumulative_sum(array, axis=axis, include_initial=True), ahead)


@pytest.mark.parametrize("subgroups", [True, False], ids=["subgroups", "workgroup memory"])
def test_workgroups_scan_rows_across_every_limit(device: Device, subgroups: bool) -> None:
    if subgroups and "subgroup" not in device.adapter.features:
        pytest.skip(f"{device.adapter} has no subgroups")
    limits = {"SINGLE_LAUNCH": 5000, "LONG_CHUNK": 8192, "ENOUGH_GROUPS": 4}
    with as_gpu(device, subgroups=subgroups, **limits), each_reported() as case:
        for rows in (1, 2):
            for n in (65, 256, 257, 1024, 1025, 4097, 5000, 5001, 8192, 8193, 40_001):
                with case(f"{rows} rows of {n}"):
                    assert_scans(device, whole(F32, rows, n), 1)


def test_threads_scan_columns_in_chunks_of_chunks(device: Device) -> None:
    with pytest.MonkeyPatch.context() as patch, each_reported() as case:
        patch.setattr(kernels, "MIN_CPU_CHUNK", 32)
        for n in (1, 2, 31, 32, 33, 63, 64, 65, 1024, 1025, 3000):
            for inner in (1, 3, 4):
                with case(f"{n} of {inner} columns"):
                    assert_scans(device, whole(F32, 2, n, inner), 1)
        with case("a million"):
            assert_scans(device, whole(I32, 1 << 20), 0)


def test_scans_have_more_rows_than_a_launch_has_workgroups(unchecked: Device) -> None:
    with pytest.MonkeyPatch.context() as patch, each_reported() as case:
        patch.setattr(unchecked, "limits", replace(unchecked.limits, groups=3))
        with case("by threads"):
            assert_scans(unchecked, whole(F32, 70, 3, 13), 1)
        with as_gpu(unchecked, subgroups=False, SINGLE_LAUNCH=300), case("by workgroups, in chunks"):
            assert_scans(unchecked, whole(F32, 5, 520), 1)


def test_plans_have_few_launches_and_enough_workgroups() -> None:
    options = {"aligned": True, "initial": False, "cpu": False}
    assert plan(1, 1024, 1, **options).rows == SMALL
    assert plan(1, 1 << 14, 1, **options).width == 1
    assert plan(4096, 1 << 16, 1, **options).width == 1
    assert plan(1, 1 << 27, 1, **options).width == 8192
    assert plan(1, 1 << 27, 1, **options).rows == LARGE
    assert plan(8192, 16384, 1, **options).width == 1
    assert plan(1, 8192, 16384, **options).unit == 4
    assert plan(1, 1 << 27, 1, **options | {"cpu": True}).rows is None
    assert depth(1 << 20) < 6000
    assert depth(1 << 27) < 2 * depth(1 << 17)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_scans_of_any_layout(device: Device, kind: Dtype) -> None:
    if kind is F16 and "shader-f16" not in device.adapter.features:
        pytest.skip(f"{device.adapter} has no f16")
    x = whole(kind, 6, 10)
    with each_reported() as case:
        for layout, view in LAYOUTS.items():
            seen, array = np.asarray(view(x)), view(on(device, x))
            for axis in range(seen.ndim):
                with case(f"{layout} over {axis}"):
                    result = rp.cumulative_sum(array, axis=axis)
                    assert result.kind is (I32 if kind is BOOL else kind)
                    np.testing.assert_array_equal(result, np.cumsum(seen, axis, dtype=result.dtype))
                    product = rp.cumulative_prod(array, axis=axis)
                    np.testing.assert_array_equal(product, np.cumprod(seen, axis, dtype=result.dtype))


@settings(max_examples=20)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=70))
def test_scans_are_within_the_rounding_of_their_depth(
    unchecked: Device, data: st.DataObject, shape: tuple[int, ...]
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(data.draw(st.integers(0, 1000))).standard_normal(shape, np.float32)
    n = x.shape[axis]
    reference, bound = oracle.cumulative_sum(x, lambda x: np.cumsum(x, axis), depth=depth(n), dtype=F32)
    result = rp.cumulative_sum(on(unchecked, x), axis=axis).numpy()
    assert result.shape == reference.shape
    assert (np.abs(result - reference) <= bound).all()


def test_rounding_of_a_long_sum_stays_small(unchecked: Device) -> None:
    """In chunks, a million tenths have an error far below that of adding one by one, which is 1e-2."""
    total = rp.cumulative_sum(rp.full(1 << 20, 0.1, device=unchecked))[-1].item()
    exact = float(np.float32(0.1)) * (1 << 20)
    assert abs(total - exact) < 1e-4 * exact
    assert abs(float(np.cumsum(np.full(1 << 20, 0.1, np.float32))[-1]) - exact) > 1e-3 * exact


def test_what_is_not_a_number_is_seen_from_its_place_on(unchecked: Device) -> None:
    x = np.ones(300, np.float32)
    for place, value in ((7, np.nan), (130, np.inf), (299, -np.inf)):
        x[:] = 1
        x[place] = value
        for gpu in (False, True):
            with as_gpu(unchecked, subgroups=False) if gpu else pytest.MonkeyPatch.context():
                result = rp.cumulative_sum(on(unchecked, x)).numpy()
                np.testing.assert_array_equal(result, np.cumsum(x))
    x[[3, 100]] = np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(rp.cumulative_sum(on(unchecked, x)), np.cumsum(x))


def test_scans_of_nothing_have_their_initial_element_alone(unchecked: Device) -> None:
    for shape, axis in (((0,), 0), ((3, 0), 1), ((0, 3), 1)):
        x = on(unchecked, np.zeros(shape, np.float32))
        assert rp.cumulative_sum(x, axis=axis).shape == shape
        ahead = rp.cumulative_prod(x, axis=axis, include_initial=True)
        assert ahead.shape == tuple(size + (i == axis) for i, size in enumerate(shape))
        assert (ahead.numpy() == 1).all()


def test_a_scan_of_another_dtype_converts_first(unchecked: Device) -> None:
    x = on(unchecked, np.full(3, 2**31 - 1, np.int32))
    assert rp.cumulative_sum(x).tolist() == [2147483647, -2, 2147483645]
    assert rp.cumulative_sum(x, dtype="f32").dtype == np.float32
    assert np.cumsum(x, dtype=np.uint32).tolist() == [2147483647, 4294967294, 2147483645]


def test_cumsum_takes_all_elements_in_order(unchecked: Device) -> None:
    x = whole(I32, 3, 5)
    for result in (rp.cumsum(x), np.cumsum(on(unchecked, x)), rp.cumsum(on(unchecked, x.T).T)):
        assert isinstance(result, Array)
        np.testing.assert_array_equal(result, np.cumsum(x))
    np.testing.assert_array_equal(rp.cumprod(x, 1), np.cumprod(x, 1))


def test_products_have_a_gradient_where_factors_are_zero(unchecked: Device) -> None:
    x = np.array([[2, 3, 4, 5], [2, 0, 4, 5], [0, 3, 0, 5], [2, 3, 4, 0], [0, 0, 0, 0]], np.float32)
    g = np.random.default_rng(3).standard_normal((5, 5)).astype(np.float32)
    leaf = on(unchecked, x)
    leaf.requires_grad = True
    rp.cumulative_prod(leaf, axis=1, include_initial=True).backward(on(unchecked, g))
    expected = np.zeros((5, 4))
    for row, j, i in np.ndindex(5, 4, 4):
        if i >= j:  # Without factor j.
            expected[row, j] += g[row, i + 1] * np.prod(np.delete(x[row, : i + 1].astype(np.float64), j))
    np.testing.assert_allclose(leaf.grad.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_scans_have_second_derivatives(unchecked: Device) -> None:
    x = on(unchecked, np.array([1.5, -2, 0.5], np.float32))

    def slope(x: Array) -> Array:
        return rp.grad(lambda x: rp.cumulative_prod(x, axis=0)[-1] * rp.cumulative_sum(x, axis=0)[1])(x).sum()

    # Of x y z (x + y), whose derivatives add up to 2 x y z + (x + y) (x y + y z + x z).
    a, b, c = 1.5, -2, 0.5
    pairs = a * b + b * c + a * c
    slopes = [2 * b * c + pairs + (a + b) * (b + c), 2 * a * c + pairs + (a + b) * (a + c)]
    slopes.append(2 * a * b + (a + b) * (a + b))
    np.testing.assert_allclose(rp.grad(slope)(x).numpy(), slopes, rtol=1e-5)


def test_bad_arguments_of_scans_are_refused(unchecked: Device) -> None:
    x = on(unchecked, whole(F32, 2, 3))
    with pytest.raises(ShapeError, match=r"^cumulative_sum: of which of 2 axes\? say axis="):
        rp.cumulative_sum(x)
    with pytest.raises(ShapeError, match=r"^cumulative_prod: needs 1 axis or more: x is a scalar"):
        rp.cumulative_prod(x[0, 0])
    with pytest.raises(ShapeError, match=r"^cumulative_sum: no such axis: 2 of 2$"):
        rp.cumulative_sum(x, axis=2)
    with pytest.raises(DtypeError, match="arrays do not hold float64"):
        rp.cumulative_sum(x, axis=0, dtype="float64")
