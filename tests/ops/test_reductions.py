"""Every reduction: what it gives for special values, and by every kernel in any layout."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, ShapeError, UnsupportedError
from rusty_py.dtypes import BOOL, F16, F32, I32, U32
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.all import REDUCTIONS
from rusty_py.ops.reduce import passes as choice
from rusty_py.ops.reduce import source
from rusty_py.ops.reduce.passes import passes
from rusty_py.samples import Sample

from ..each import each_reported
from .arrays_of import Drawn, drawn
from .operands import needs, on, values

pytestmark = pytest.mark.one_mode
INFINITE, NAN = np.inf, np.nan


def assert_reduces(name: str, x: Array, seen: np.ndarray, **options: object) -> None:
    """A reduction of `x` is what its record says of NumPy's `seen`."""
    expected = OPERATIONS[name].expected
    assert expected is not None
    result = apply(OPERATIONS[name], x, **options).numpy()
    reference = expected(Sample("", (seen,), options))
    assert result.dtype == REDUCTIONS[name].result(x.kind).numpy
    assert reference.error(result) <= 1, (result, reference)


@pytest.fixture
def short_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels and chunks of large arrays for small ones."""
    monkeypatch.setattr(source, "passes", lambda *box, cpu, **given: passes(*box, cpu=False, **given))
    for name, size in (
        ("_SINGLE", 1),
        ("THREAD_ELEMENTS", 2),
        ("GROUP_ELEMENTS", 64),
        ("COLUMN_STEPS", 4),
        ("_MIN_ROW_CHUNK", 16),
        ("_MIN_COLUMN_STEPS", 1),
    ):
        monkeypatch.setattr(choice, name, size)


def set_subgroups(monkeypatch: pytest.MonkeyPatch, device: Device, *, used: bool) -> None:
    device.cache.forget_plans()
    has = used and "subgroup" in device.adapter.features
    monkeypatch.setattr(source, "has_subgroups", lambda _: has)


@pytest.mark.usefixtures("short_passes")
def test_long_rows_and_columns_are_reduced_in_passes(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    with each_reported() as case:
        for name, used in (("argmax", False), ("var", True)):
            set_subgroups(monkeypatch, device, used=used)
            for shape, axis in (((3, 403), 1), ((301, 20), 0)):
                with case((name, shape)):
                    (seen,) = REDUCTIONS[name].operands(F32, 1, *shape)
                    assert_reduces(name, on(device, seen), seen, axis=axis)
                    assert len(next(reversed(device.cache.plans.values())).dispatches) > 1


def test_short_rows_are_for_a_few_threads_each(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def passes_of_a_small_gpu(
        *box: int, cpu: bool, vec4: bool, enough_groups: int, **_: int
    ) -> list[choice.Pass]:
        return passes(*box, cpu=False, vec4=vec4, enough_groups=16)

    monkeypatch.setattr(source, "passes", passes_of_a_small_gpu)
    with each_reported() as case:
        for used, (n, threads) in product((False, True), ((9, 1), (24, 1), (33, 2), (48, 2), (49, 4))):
            set_subgroups(monkeypatch, unchecked, used=used)
            a = values(F32, 5000, n + 3)
            x = on(unchecked, a)
            for name, first in product(("sum", "argmax", "var"), (0, 3)):
                with case((name, n, first, used)):
                    seen = np.ascontiguousarray(a[:, first : first + n])
                    assert_reduces(name, x[:, first : first + n], seen, axis=1)
                    (launched,) = next(reversed(unchecked.cache.plans.values())).dispatches
                    assert f", {threads} of 256" in str(launched.spec)


@pytest.mark.usefixtures("short_passes")
@given(
    each=drawn(min_ndim=1, max_ndim=4, max_size=7),
    name=st.sampled_from(["sum", "argmin"]),
    axes=st.sets(st.integers(0, 3)),
    subgroups=st.booleans(),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reductions_of_any_layout(
    unchecked: Device, each: Drawn, name: str, axes: set[int], subgroups: bool
) -> None:
    ndim = len(each.shape)
    axis: int | tuple[int, ...] | None = tuple(axis for axis in axes if axis < ndim)
    if name == "argmin":
        axis = axis[0] if axis else None  # type: ignore[index]
    with pytest.MonkeyPatch.context() as patch:
        set_subgroups(patch, unchecked, used=subgroups)
        seen, x = each.on(unchecked)
        if 0 in each.shape:
            assert rp.sum(x, axis).numpy().tolist() == seen.sum(axis).tolist()
            return
        if each.kind is F32 or name == "sum":
            assert_reduces(name, x, seen, axis=axis)
        else:
            np.testing.assert_array_equal(rp.argmin(x, axis).numpy(), seen.argmin(axis))


def test_views_are_reduced_without_a_copy(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 12, 80, 4))
    views = (x.T, x[::-1, :, ::-1], x[1:, 3:], x.transpose(1, 2, 0), rp.broadcast_to(x[:1], x.shape))
    with each_reported() as case:
        for number, view in enumerate(views):
            for axis in (None, 0, 1, 2, (0, 1), (1, 2), (0, 2)):
                with case((number, axis)):
                    unchecked.cache.forget_plans()
                    view.sum(axis)
                    (plan,) = unchecked.cache.plans.values()
                    assert {each.spec.name.split("/")[0] for each in plan.dispatches} == {"reduce"}


def test_more_axes_apart_than_kernels_take_are_gathered_first(device: Device) -> None:
    a = values(F32, 3, 4, 2, 5, 3, 2)
    x = on(device, a)
    for axis in ((0, 2, 4), (1, 3, 5)):
        assert_reduces("sum", x, a, axis=axis)
        assert rp.sum(x, axis, keepdims=True).shape == a.sum(axis, keepdims=True).shape


def test_indices_are_those_of_the_first_extreme_and_of_nan(device: Device) -> None:
    rows = [
        [3, 1, 3, 1],
        [-0.0, 0, -0.0, 0],
        [1, NAN, 2, NAN],
        [-INFINITE] * 4,
        [INFINITE, 5, INFINITE, -INFINITE],
        [NAN] * 4,
        [1e-40, -1e-40, 0, 1e-42],
    ]
    a = np.array(rows, np.float32)
    long = np.repeat(a, 50, axis=1)  # The same by more threads.
    for seen in (a, long, a.T.copy().T):
        x = on(device, seen)
        np.testing.assert_array_equal(x.argmax(1).numpy(), seen.argmax(1))
        np.testing.assert_array_equal(x.argmin(1).numpy(), seen.argmin(1))
    for kind in (I32, U32, BOOL):
        b = values(kind, 7, 90)
        for axis in (None, 0, 1):
            np.testing.assert_array_equal(rp.argmax(on(device, b), axis).numpy(), b.argmax(axis))
            np.testing.assert_array_equal(rp.argmin(on(device, b), axis).numpy(), b.argmin(axis))
    equal = values(I32, 1100, 20, seed=1) % 7  # In several passes, whose partial results are interleaved.
    for axis in (None, 0, 1):
        np.testing.assert_array_equal(rp.argmax(on(device, equal), axis).numpy(), equal.argmax(axis))
        np.testing.assert_array_equal(rp.argmin(on(device, equal), axis).numpy(), equal.argmin(axis))
    assert rp.argmax(on(device, a)).numpy() == a.argmax()
    assert rp.argmax(on(device, a).T).numpy() == a.T.argmax()  # In the order of the view.
    assert x.argmax(1, keepdims=True).shape == (7, 1)
    with pytest.raises(ShapeError, match=r"^argmax: over one axis, or all: got \(0, 1\)"):
        rp.argmax(x, (0, 1))


def test_variances_keep_their_digits(device: Device) -> None:
    """Far from zero, of constants, and of infinities."""
    rng = np.random.default_rng(3)
    far = (rng.standard_normal((4, 3000)) + 1e4).astype(np.float32)
    for axis, correction in ((None, 0), (1, 1), (0, 0), (1, 2.5)):
        assert_reduces("var", on(device, far), far, axis=axis, correction=correction)
        assert_reduces("std", on(device, far), far, axis=axis, correction=correction)
    assert rp.var(on(device, np.full(1000, 0.1, np.float32))).numpy() < 1e-14
    assert np.isnan(rp.var(on(device, far[:1]), 0, correction=1).numpy()).all()
    assert np.isnan(rp.std(on(device, far[:2]), 0, correction=3).numpy()).all()
    assert np.isnan(rp.var(on(device, np.array([1, INFINITE], np.float32))).numpy())


def test_a_variance_of_f16_does_not_overflow(device: Device) -> None:
    needs(device, F16)
    a = np.where(np.arange(500) % 50, 1, 800).astype(np.float16)
    assert_reduces("std", on(device, a), a, axis=None)


def test_logarithms_of_sums_of_exponentials_neither_overflow_nor_lose_infinities(device: Device) -> None:
    rows = [
        [1000, 1000, 999, 0],
        [-1000] * 4,
        [-INFINITE] * 4,
        [-INFINITE, 3, -INFINITE, 3],
        [INFINITE, 0, 1, -INFINITE],
        [NAN, INFINITE, -INFINITE, 1],
        [-INFINITE, NAN, -INFINITE, -INFINITE],
    ]
    a = np.array(rows, np.float32)
    for seen in (a, np.repeat(a, 60, axis=1), np.ascontiguousarray(a.T).T):
        assert_reduces("logsumexp", on(device, seen), seen, axis=1)
    assert rp.logsumexp(on(device, np.zeros((0,), np.float32))).numpy() == -INFINITE


def test_norms_of_every_order(device: Device) -> None:
    a = values(F32, 5, 130)
    a[2, ::7] = 0
    x = on(device, a)
    for order in (0, 1, 2, INFINITE, -INFINITE):
        for axis in (None, 0, 1):
            assert_reduces("vector_norm", x, a, axis=axis, ord=order)
    assert rp.vector_norm(x, 1, keepdims=True).shape == (5, 1)
    with pytest.raises(UnsupportedError, match=r"^vector_norm: no such order: 3: "):
        rp.vector_norm(x, ord=3)


def test_truth_counts_nan_and_what_is_tiny_but_not_zero(device: Device) -> None:
    a = np.array([[0, -0.0, 0], [NAN, 1, -INFINITE], [0, 1e-42, 0]], np.float32)
    for axis in (None, 0, 1):
        for name in ("any", "all", "count_nonzero"):
            result = getattr(rp, name)(on(device, a), axis).numpy()
            np.testing.assert_array_equal(result, getattr(np, name)(a, axis), strict=name != "count_nonzero")


def test_products_wrap_and_count_bools(device: Device) -> None:
    a = np.array([[3, -5], [2**30, 7]], np.int32)
    assert rp.prod(on(device, a), 1).tolist() == [-15, 7 * 2**30 - 2**33]
    assert rp.prod(on(device, a > 0)).dtype == np.int32
    assert rp.prod(on(device, a), dtype="f32").numpy() == -15 * 7 * 2.0**30


def test_methods_and_numpys_functions_are_ours(unchecked: Device) -> None:
    a = values(F32, 6, 10)
    x = on(unchecked, a)
    calls = {
        "min": (x.min(1), np.min(x, 1)),
        "prod": (x.prod(0), np.prod(x, axis=0)),
        "argmin": (x.argmin(), np.argmin(x)),
        "any": (x.any(1), np.any(x, axis=1)),
        "all": (x.all(), np.all(x)),
        "var": (x.var(0, correction=1), np.var(x, axis=0, ddof=1)),
        "std": (x.std(), np.std(x)),
    }
    for name, results in calls.items():
        first, second = results
        assert isinstance(second, Array), name
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    np.testing.assert_allclose(calls["var"][0].numpy(), a.var(0, ddof=1), rtol=1e-5)


def gradient(function, a: np.ndarray, device: Device) -> list[float]:  # type: ignore[no-untyped-def]
    x = on(device, a.astype(np.float32))
    found: list[float] = rp.grad(lambda x: function(x).sum())(x).numpy().astype(float).round(5).tolist()
    return found


def test_gradients_at_zeros_and_ties(unchecked: Device) -> None:
    rows = np.array([[2, 3, 4], [2, 0, 4], [0, 0, 4]])
    of_product = gradient(lambda x: rp.prod(x, 1), rows, unchecked)
    assert of_product == [[12, 8, 6], [0, 8, 0], [0, 0, 0]]
    assert gradient(lambda x: rp.max(x, 1), rows, unchecked) == [[0, 0, 1]] * 3
    assert gradient(lambda x: rp.min(x, 1), rows, unchecked) == [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]
    assert gradient(rp.std, np.ones(4), unchecked) == [0] * 4
    assert gradient(rp.vector_norm, np.zeros(3), unchecked) == [0] * 3
    assert gradient(rp.vector_norm, np.array([3, -4]), unchecked) == [0.6, -0.8]
    largest = gradient(lambda x: rp.vector_norm(x, ord=INFINITE), np.array([1, -4, 4]), unchecked)
    assert largest == [0, -0.5, 0.5]
    everything = gradient(rp.logsumexp, np.array([-INFINITE, 0, 0]), unchecked)
    assert everything == [0, 0.5, 0.5]
