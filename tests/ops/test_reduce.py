"""Sums and means over axes, against float64, within the rounding of their passes."""

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError, oracle
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype
from rusty_py.ops.reduce import source
from rusty_py.ops.reduce.passes import COLUMN_STEPS, GROUP_ELEMENTS, THREAD_ELEMENTS, depth, passes

from .operands import needs, on, values
from .test_matmul import small

SIZES = [1, 2, 13, THREAD_ELEMENTS - 1, THREAD_ELEMENTS, THREAD_ELEMENTS + 1, 255, 257, 1021, 1025]
SIZES += [4097, GROUP_ELEMENTS, GROUP_ELEMENTS + 1, 300_007]
AXES = [None, 0, 1, -1, (0, 1), (0, 2), (1, 2), (2, 0), (), (0, 1, 2)]


def count(shape: tuple[int, ...], axis: int | tuple[int, ...] | None) -> int:
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis).astype(int)
    return int(np.prod([shape[each] for each in axes], dtype=int))


def assert_sum(result: Array, a: np.ndarray, axis: int | tuple[int, ...] | None, kind: Dtype = F32) -> None:
    reference, bound = oracle.sum(a, axis=axis, depth=depth(count(a.shape, axis)), dtype=kind)
    host = result.numpy()
    assert (host.shape, host.dtype) == (reference.shape, kind.numpy)
    assert (np.abs(host - reference) <= bound).all()


@pytest.mark.parametrize("size", SIZES)
def test_sums_of_any_length(device: Device, size: int) -> None:
    a = values(F32, size)
    assert_sum(rp.sum(on(device, a)), a, None)


@pytest.mark.parametrize("shape", [(3, 1021), (1021, 3), (2, 300, 7), (300, 5, 70)], ids=str)
def test_sums_over_every_axis(device: Device, shape: tuple[int, ...]) -> None:
    a = values(F32, *shape)
    for axis in range(len(shape)):
        assert_sum(on(device, a).sum(axis=axis), a, axis)


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_sums_over_axes_of_any_layout(device: Device, axis: int | tuple[int, ...] | None) -> None:
    a = values(F32, 6, 10, 4)
    x = on(device, a)
    for view in (lambda x: x, lambda x: x.T, lambda x: x[::-1, 1::2], lambda x: x[2:4]):
        assert_sum(rp.sum(view(x), axis=axis), view(a), axis)
        kept = rp.sum(view(x), axis=axis, keepdims=True)
        assert kept.shape == view(a).sum(axis=axis, keepdims=True).shape
        np.testing.assert_array_equal(kept.numpy().ravel(), rp.sum(view(x), axis=axis).numpy().ravel())


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)], ids=str)
def test_a_sum_of_nothing_is_zero(device: Device, shape: tuple[int, ...]) -> None:
    a = np.zeros(shape, np.float32)
    for axis in [None, *range(len(shape))]:
        result = rp.sum(on(device, a), axis=axis)
        np.testing.assert_array_equal(result.numpy(), a.sum(axis=axis))


@pytest.mark.parametrize("kind", [I32, U32], ids=lambda kind: kind.name)
def test_integers_are_exact_and_wrap(device: Device, kind: Dtype) -> None:
    a = values(kind, 5, 1000)
    for axis in (None, 0, 1):
        result = rp.sum(on(device, a), axis=axis).numpy()
        assert result.dtype == kind.numpy
        np.testing.assert_array_equal(result, a.sum(axis=axis, dtype=kind.numpy))


def test_bools_are_counted(device: Device) -> None:
    a = values(BOOL, 70, 1000)
    for axis in (None, 0, 1):
        result = rp.sum(on(device, a), axis=axis).numpy()
        assert result.dtype == np.int32
        np.testing.assert_array_equal(result, a.sum(axis=axis))


def test_f16_is_added_up_in_f32(device: Device) -> None:
    needs(device, F16)
    for size in (10, 5000):
        a = values(F16, 3, size)
        assert_sum(rp.sum(on(device, a), axis=1), a, 1, F16)
    many = np.full(60_000, 1.5, np.float16)
    assert float(rp.mean(on(device, many))) == 1.5
    assert float(rp.sum(on(device, many), dtype="f32")) == 90_000


def test_a_dtype_converts_before_the_sum(device: Device) -> None:
    x = on(device, np.full(3, 2**31 - 1, np.int32))
    assert float(rp.sum(x, dtype="f32")) == 3 * 2.0**31
    assert rp.sum(x, dtype="f32").dtype == np.float32


@pytest.mark.parametrize("axis", [None, 0, (0, 1)], ids=str)
def test_means(device: Device, axis: int | tuple[int, ...] | None) -> None:
    a = values(F32, 60, 101)
    n = count(a.shape, axis)
    reference, bound = oracle.sum(a, axis=axis, depth=depth(n), dtype=F32)
    host = on(device, a).mean(axis=axis).numpy()
    quotient = oracle.rounding(reference / n, ulps=2.5, dtype=F32)
    assert (np.abs(host - reference / n) <= 1.01 * bound / n + quotient).all()
    assert rp.mean(on(device, a), axis=1, keepdims=True).shape == (60, 1)


def test_an_axis_is_named_by_position_as_well(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 3, 4))
    for by_position, by_name in [
        (x.sum(0), x.sum(axis=0)),
        (x.mean(1), x.mean(axis=1)),
        (rp.sum(x, (0, 1)), rp.sum(x, axis=(0, 1))),
        (rp.mean(x, -1, keepdims=True), rp.mean(x, axis=-1, keepdims=True)),
        (x.sum(None), x.sum()),
    ]:
        np.testing.assert_array_equal(by_position.numpy(), by_name.numpy())
    with pytest.raises(TypeError):
        x.sum(0, 1)
    for wrong in (1.0, (0.0,), "0"):
        with pytest.raises(TypeError):
            x.sum(wrong)


def test_a_mean_of_nothing_is_no_number(device: Device) -> None:
    assert np.isnan(rp.mean(on(device, np.zeros((2, 0), np.float32)), axis=1).numpy()).all()


def test_few_workgroups_in_each_dimension_add_up_many_rows(device: Device) -> None:
    for groups, shape in ((5, (5000, 30)), (3, (900, 300))):
        a = values(F32, *shape)
        with small(device, groups=groups) as narrow:
            for axis in (0, 1):
                assert_sum(rp.sum(on(narrow, a), axis=axis), a, axis)


@pytest.mark.parametrize("cpu", [True, False])
def test_passes_are_few_and_none_is_long(cpu: bool) -> None:
    boxes = [(1, 1), (1, 2), (1, 40), (3, 1), (5000, 1), (1, 5000), (7, 33)]
    for n in (*range(1, 300), 2047, 2049, 4095, 4096, 4097, 65535, 65536, 65537, 10**6, 10**8, 2**30):
        for outer, inner in boxes:
            left = n
            made = passes(outer, n, inner, cpu=cpu)
            for each in made:
                depths = each.threads // each.across
                of_thread = 4 * THREAD_ELEMENTS if cpu else THREAD_ELEMENTS
                most = {"threads": of_thread, "rows": GROUP_ELEMENTS, "columns": COLUMN_STEPS * depths}
                assert each.width == -(-left // each.chunk), (outer, n, inner)
                assert -(-left // each.width) <= most[each.kernel], (outer, n, inner)
                left = each.width
            assert left == 1, (outer, n, inner)
            assert len(made) <= 1 + np.log(n) / np.log(THREAD_ELEMENTS), (outer, n, inner)
    assert len(passes(1, GROUP_ELEMENTS, 1, cpu=cpu)) == 1
    assert max(depth(n) for n in range(1, GROUP_ELEMENTS + 1, 911)) <= 5 * THREAD_ELEMENTS


def test_the_bound_covers_every_pass() -> None:
    """The roundings on the longest way through the passes that are taken."""
    for n in (1, 64, 65, 300, 2049, 65536, 65537, 10**6, 2**24):
        for outer, inner in ((1, 1), (1, 3), (1, 40), (1, 5000), (300, 1), (100_000, 1)):
            for cpu, max_threads in ((False, 256), (False, 1024), (True, 1024)):
                steps, left = 0, n
                for each in passes(outer, n, inner, cpu=cpu, max_threads=max_threads):
                    chunk = min(left, each.chunk)
                    if each.kernel == "threads":
                        steps += min(chunk, -(-chunk // 4) + 2 + 3)
                    elif each.kernel == "rows":
                        # By subgroups of 4, which is more than by those of others and than by a tree.
                        tree = 2 * 7 + -(-each.across // 16)
                        steps += min(chunk, -(-chunk // (16 * each.across)) + 3 + 4 + 4 + tree)
                    else:
                        rows = each.threads // each.across
                        steps += min(chunk, -(-chunk // (4 * rows)) + 2 + 3 + rows)
                    left = each.width
                assert steps <= depth(n), (outer, n, inner, cpu)


@pytest.fixture(params=["tree", "subgroups"])
def as_gpu(request: pytest.FixtureRequest, device: Device, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The device, with the kernels that GPUs take."""
    subgroups = request.param == "subgroups"
    if subgroups and "subgroup" not in device.adapter.features:
        pytest.skip(f"{device.adapter} has no subgroups")
    monkeypatch.setattr(source, "passes", lambda *box, cpu, **given: passes(*box, cpu=False, **given))
    monkeypatch.setattr(source, "has_subgroups", lambda _: subgroups)
    device.cache.forget_plans()
    return device


def test_kernels_of_gpus_reduce_rows_and_columns_in_chunks(as_gpu: Device) -> None:
    for shape, axis, box, kernels in (
        ((70_001,), None, (1, 70_001, 1), ["rows", "rows"]),
        ((3, 30_011), 1, (3, 30_011, 1), ["rows", "threads"]),
        ((2_500, 40), 0, (1, 2_500, 40), ["columns", "threads"]),
        ((300, 70), 0, (1, 300, 70), ["columns"]),
        ((2, 65, 33), 1, (2, 65, 33), ["columns"]),
        ((65, 9, 129), (0, 1), (1, 585, 129), ["columns", "threads"]),
        ((9_000, 3), 0, (1, 9_000, 3), ["columns"]),
        ((512, 1_030), 0, (1, 512, 1_030), ["columns"]),
    ):
        a = values(F32, *shape)
        assert_sum(rp.sum(on(as_gpu, a), axis=axis), a, axis)
        np.testing.assert_array_equal(rp.max(on(as_gpu, a), axis=axis).numpy(), a.max(axis=axis))
        assert [each.kernel for each in passes(*box, cpu=False)] == kernels


def test_kernels_of_gpus_compute_what_is_fused_from_where_a_row_begins(as_gpu: Device) -> None:
    x = np.random.default_rng(0).random((2, 803), np.float32)

    def copied(x: Array) -> Array:
        return rp.exp(rp.flip(x, axis=0).copy()).sum(axis=-1)

    def scanned(x: Array) -> Array:
        return rp.exp(-rp.cumulative_sum(x, axis=-1)).sum(axis=-1)

    for part in ((...,), (..., slice(2, None)), (..., slice(3, None))):
        view, exact = on(as_gpu, x)[part], x[part].astype(np.float64)
        pairs = (copied, np.exp(exact[::-1])), (scanned, np.exp(-np.cumsum(exact, axis=-1)))
        for function, terms in pairs:
            result = rp.fuse(function)(view).numpy()
            np.testing.assert_allclose(result, terms.sum(axis=-1), rtol=1e-5)


def test_a_reduction_of_up_to_64_ki_elements_is_one_launch(unchecked: Device) -> None:
    rows = 1 << 13 if unchecked.adapter.is_cpu else 1 << 14
    cases = [((256,), None), ((1 << 16,), None), ((8, 1024), 1), ((rows, 4), 0), ((5, 3), None)]
    for shape, axis in cases:
        x = on(unchecked, values(F32, *shape))
        unchecked.cache.forget_plans()
        for reduced in (x.sum(axis=axis), rp.max(x, axis=axis)):
            assert reduced.shape == np.sum(np.zeros(shape), axis=axis).shape
        plans = unchecked.cache.plans.values()
        assert [len(plan.dispatches) for plan in plans] == [1, 1], (shape, axis)


def test_a_largest_element_is_nan_where_there_is_one(device: Device) -> None:
    for size in (5, 70, 3000):
        a = values(F32, 3, size)
        a[1, size // 2] = np.nan
        a[2] = -np.inf
        largest = rp.max(on(device, a), axis=1).numpy()
        np.testing.assert_array_equal(largest, np.max(a, axis=1))
        assert np.isnan(float(on(device, a).max()))


def test_nothing_has_no_largest_element(unchecked: Device) -> None:
    with pytest.raises(ShapeError, match=r"^max: of no elements: shape \(0, 3\) over axes \(0,\)"):
        rp.max(on(unchecked, np.zeros((0, 3), np.float32)), axis=0)
    assert rp.max(on(unchecked, np.zeros((0, 3), np.float32)), axis=1).shape == (0,)


def test_integers_and_masks_have_a_largest_element(device: Device) -> None:
    for kind in (I32, U32, BOOL):
        a = values(kind, 7, 300)
        for axis in (None, 0, 1):
            largest = on(device, a).max(axis=axis)
            assert largest.dtype == kind.numpy
            np.testing.assert_array_equal(largest.numpy(), a.max(axis=axis))
    low = np.full(300, -(2**31), np.int32)
    assert int(on(device, low).max()) == -(2**31)


def test_bad_arguments_are_refused(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 2, 3))
    with pytest.raises(ShapeError, match=r"^sum: no such axis: 2 of 2$"):
        rp.sum(x, axis=2)
    with pytest.raises(ShapeError, match=r"^mean: an axis is named twice: \(0, -2\)$"):
        rp.mean(x, axis=(0, -2))
    with pytest.raises(DtypeError, match=r'^mean: not for i32: convert with \.astype\("f32"\)$'):
        rp.mean(on(unchecked, values(I32, 3)))
    with pytest.raises(DtypeError, match=r"^astype: arrays do not hold float64"):
        rp.sum(x, dtype=np.float64)
