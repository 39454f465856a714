"""What `matmul` takes beside its operands, and how `matmul.plan` tells what comes of them."""

from dataclasses import replace

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import (
    Array,
    Device,
    DeviceError,
    DtypeError,
    LimitError,
    ShapeError,
    array,
    matmul,
    oracle,
)
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F32
from rusty_py.views import View

from .operands import on
from .products import assert_product, assert_within, poison, uniform
from .test_matmul import small

M, K, N = 33, 17, 40
A, B, C, BIAS = uniform(M, K, seed=1), uniform(K, N, seed=2), uniform(M, N, seed=3), uniform(N, seed=4)


def assert_finished(
    c: np.ndarray, *terms: np.ndarray, activation: str = "", a: np.ndarray = A, b: np.ndarray = B
) -> None:
    """`c` is the activation of a @ b and the terms."""
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert_within(c, *oracle.finished(reference, bound, terms=terms, activation=activation))


SHORT = pytest.mark.usefixtures("short_kernels")


# Where the result goes.


@pytest.mark.parametrize("accumulate", [False, True])
def test_the_result_goes_to_an_array_and_nowhere_else(
    device: Device, tile: int | str, accumulate: bool
) -> None:
    around = np.full((M + 4, N + 6), np.nan, np.float32)
    around[1 : M + 1, 2 : N + 2] = C
    held = on(device, around)
    out = held[1 : M + 1, 2 : N + 2]
    with poison(device):
        assert matmul(on(device, A), B, out=out, accumulate=accumulate, tile=tile) is out
    after = held.numpy()
    assert_finished(after[1 : M + 1, 2 : N + 2], *[C] * accumulate)
    after[1 : M + 1, 2 : N + 2] = np.nan
    assert np.isnan(after).all()


VIEWS = {
    "every other row": lambda x: x[::2, :N],
    "every other column": lambda x: x[:M, ::2],
    "backwards": lambda x: x[M - 1 :: -1, N - 1 :: -1],
    "columns": lambda x: x.reshape(-1)[: M * N].reshape(N, M).T,
}


@SHORT
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_the_result_goes_to_any_view(device: Device, view: str, accumulate: bool) -> None:
    host = uniform(2 * M, 2 * N, seed=5)
    before = VIEWS[view](host).copy()
    held = on(device, host)
    with poison(device):
        matmul(on(device, A), on(device, B), out=VIEWS[view](held), accumulate=accumulate)
    after = held.numpy()
    assert_finished(VIEWS[view](after), *[before] * accumulate)
    VIEWS[view](after)[...] = before
    assert after.tobytes() == host.tobytes()


@pytest.mark.parametrize("accumulate", [False, True])
def test_the_result_goes_to_numpys_arrays(device: Device, tile: int | str, accumulate: bool) -> None:
    for view in (lambda x: x, *VIEWS.values()):
        host = uniform(2 * M, 2 * N, seed=5) if view in VIEWS.values() else C.copy()
        out = view(host)
        before = out.copy()
        with poison(device):
            assert matmul(A, B, out=out, accumulate=accumulate, tile=tile, device=device) is out
        assert_finished(out, *[before] * accumulate)


@SHORT
def test_numpys_result_may_lie_over_its_operands(unchecked: Device) -> None:
    square, other = uniform(M, M, seed=1), uniform(M, M, seed=2)
    a = square.copy()
    matmul(a, other, out=a, device=unchecked)
    assert_finished(a, a=square, b=other)
    b = square.copy()
    matmul(other, b.T, out=b, accumulate=True, device=unchecked)
    assert_finished(b, square, a=other, b=square.T)


@pytest.mark.parametrize("accumulate", [False, True])
def test_the_result_may_lie_over_its_operands_and_the_bias(
    device: Device, tile: int | str, accumulate: bool
) -> None:
    a, b = uniform(M, M, seed=1), uniform(M, M, seed=2)
    for aliased in ("a", "b", "transposed", "both", "part"):
        x, y = on(device, a), on(device, b)
        left, right = {"both": (x, x), "transposed": (x.T, y)}.get(aliased, (x, y))
        given = left.numpy(), right.numpy()
        out = y if aliased == "b" else x
        if aliased == "part":
            wide = on(device, np.concatenate([a, C[:, :5]], axis=1))
            left, out = wide[:, :M], wide[:, 5:]
        before = out.numpy()
        with poison(device):
            matmul(left, right, out=out, accumulate=accumulate, tile=tile)
        assert_finished(out.numpy(), *[before] * accumulate, a=given[0], b=given[1])


@SHORT
def test_the_bias_may_lie_in_the_result(device: Device) -> None:
    out = on(device, C)
    with poison(device):
        matmul(on(device, A), on(device, B), out=out, bias=out[3], accumulate=True)
    assert_finished(out.numpy(), C, C[3])


def test_batches_of_any_shape_go_to_out(device: Device, tile: int | str) -> None:
    a, b = uniform(2, 1, 5, 6, seed=1), uniform(3, 6, 4, seed=2)
    held = on(device, np.full((3, 2, 5, 4), np.nan, np.float32))
    matmul(on(device, a), on(device, b), out=held.transpose(1, 0, 2, 3), tile=tile)
    assert_product(held.numpy().swapaxes(0, 1), a, b)
    row, number = on(device, np.zeros(4, np.float32)), on(device, np.zeros((), np.float32))
    matmul(on(device, a[0, 0, 0]), on(device, b[0]), out=row, tile=tile)
    assert_product(row.numpy(), a[0, 0, 0], b[0])
    matmul(on(device, a[0, 0, 0]), on(device, b[0, :, 0]), out=number, tile=tile)
    assert_product(number.numpy()[()], a[0, 0, 0], b[0, :, 0])


def test_an_out_that_does_not_fit_is_refused(unchecked: Device) -> None:
    a, b = on(unchecked, A), on(unchecked, B)
    with pytest.raises(ShapeError, match=r"^matmul: out has another shape than the result: \(40, 33\), "):
        matmul(a, b, out=rp.zeros((N, M), device=unchecked))
    with pytest.raises(DtypeError, match=r"^matmul: out has another dtype than the result: int32, float32$"):
        matmul(a, b, out=rp.zeros((M, N), dtype="i32", device=unchecked))
    with pytest.raises(DtypeError, match=r"^matmul: out is an Array where the result is: got ndarray$"):
        matmul(a, B, out=np.zeros((M, N), np.float32))
    with pytest.raises(DtypeError, match=r"^matmul: out is a NumPy array where the result is: got Array$"):
        matmul(A, B, out=rp.zeros((M, N), device=unchecked))
    row = rp.zeros(N, device=unchecked)
    with pytest.raises(ShapeError, match=r"^matmul: out repeats elements: strides \(0, 1\) of shape"):
        matmul(a, b, out=row.view(View(0, (M, N), (0, 1))))


@pytest.mark.parametrize("accumulate", [False, True])
def test_an_out_on_another_device_is_refused_and_stays(unchecked: Device, accumulate: bool) -> None:
    with Device(unchecked.adapter) as other:
        out = on(other, C)
        with pytest.raises(DeviceError, match="another device"):
            matmul(on(unchecked, A), on(unchecked, B), out=out, accumulate=accumulate)
        np.testing.assert_array_equal(out.numpy(), C)


# What is done with it.


@SHORT
def test_an_activation_may_be_none_by_name(unchecked: Device) -> None:
    for bias in (BIAS, None):
        for a, b in ((A, B), (on(unchecked, A), on(unchecked, B))):
            named, left_out = ({"bias": bias, "activation": each} for each in ("none", None))
            where = {"device": unchecked} if a is A else {}
            same = [np.asarray(matmul(a, b, **each, **where)) for each in (named, left_out)]
            np.testing.assert_array_equal(*same)
            plans = [str(matmul.plan(a, b, **each, **where)) for each in (named, left_out)]
            assert plans[0] == plans[1]


@pytest.mark.one_mode  # What the checks look at are indices.
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_a_bias_and_an_activation_follow(
    device: Device, activation: str | None, request: pytest.FixtureRequest
) -> None:
    if activation != "relu":  # The kernel that is shipped stores what any activation makes.
        request.getfixturevalue("short_kernels")
    for bias in (BIAS, None) if activation in (None, "relu") else (BIAS,):
        with poison(device):
            c = matmul(A, B, bias=bias, activation=activation, device=device)
            d = matmul(on(device, A), on(device, B), bias=bias, activation=activation)
        for each in (c, d.numpy()):
            assert_finished(each, *[bias] * (bias is not None), activation=activation or "")


@SHORT
def test_a_bias_may_lie_anyhow(unchecked: Device) -> None:
    wide = uniform(2 * N + 3, seed=5)
    held = on(unchecked, wide)
    for view in (lambda x: x[3 : N + 3], lambda x: x[: 2 * N : 2], lambda x: x[N - 1 :: -1]):
        for bias in (view(wide), view(held)):
            assert_finished(matmul(on(unchecked, A), B, bias=bias).numpy(), view(wide))
        assert_finished(matmul(A, B, bias=view(wide), device=unchecked), view(wide))
    assert_finished(matmul(A, B, bias=[0.5] * N, device=unchecked), np.full(N, 0.5, np.float32))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("x", [-1e30, -1e6, -89.0, -40.0, 0.0, 40.0, 89.0, 1e6, 1e30])
def test_activations_of_huge_numbers_are_what_they_tend_to(
    unchecked: Device, activation: str, x: float
) -> None:
    c = matmul(np.full((1, 1), x, np.float32), np.ones((1, 4), np.float32), activation=activation,
               device=unchecked)  # fmt: skip
    with np.errstate(over="ignore"):
        tends = float(ACTIVATIONS[activation].of(np.asarray(np.float64(np.float32(x)))))
    np.testing.assert_allclose(c, np.full((1, 4), tends, np.float32), rtol=1e-6, atol=1e-30)


@SHORT
@pytest.mark.parametrize("batch", [(), (3,)])
def test_sums_of_nothing_leave_what_is_added_to_them(device: Device, batch: tuple[int, ...]) -> None:
    a, b = np.zeros((*batch, M, 0), np.float32), np.zeros((0, N), np.float32)
    c = np.broadcast_to(C, (*batch, M, N)).copy()
    for given in ((a, b), (on(device, a), on(device, b))):
        where = {} if isinstance(given[0], Array) else {"device": device}
        with poison(device):
            zero = np.asarray(matmul(*given, **where))
            biased = np.asarray(matmul(*given, bias=BIAS, activation="relu", **where))
            out = c.copy() if where else on(device, c)
            matmul(*given, out=out, accumulate=True, bias=BIAS, **where)
        assert (zero.shape, zero.any()) == (c.shape, False)
        np.testing.assert_array_equal(biased, np.broadcast_to(np.maximum(BIAS, 0), c.shape))
        np.testing.assert_array_equal(np.asarray(out), c + BIAS)


@pytest.mark.parametrize(("m", "n"), [(0, 4), (4, 0), (0, 0)])
def test_results_of_nothing_are_nothing(unchecked: Device, m: int, n: int) -> None:
    a, b, bias = np.zeros((m, 3), np.float32), np.zeros((3, n), np.float32), np.zeros(n, np.float32)
    out = rp.zeros((m, n), device=unchecked)
    assert matmul(on(unchecked, a), b, out=out, accumulate=True, bias=bias, activation="gelu") is out
    assert matmul(a, b, bias=bias, activation="gelu", device=unchecked).shape == (m, n)


@pytest.mark.parametrize("options", [{"bias": BIAS}, {"activation": "relu"}], ids=["bias", "activation"])
def test_tiles_that_are_asked_for_do_no_more_than_multiply(
    unchecked: Device, tile: int | str, options: dict[str, object]
) -> None:
    for compute in (matmul, matmul.plan):
        with pytest.raises(LimitError, match=r'multiplies float32, .*: use tile="auto"$'):
            compute(A, B, tile=tile, device=unchecked, **options)


# Floats of 16 bits.


def test_float16_beside_float32_is_multiplied_in_float32(device: Device, tile: int | str) -> None:
    a, b = A.astype(np.float16), B.astype(np.float16)
    assert_product(matmul(a, B, tile=tile, device=device), a, B)
    assert_product(matmul(A, b, tile=tile, device=device), A, b)
    assert_product(matmul(a, b, dtype="f32", tile=tile, device=device), a, b)
    assert_product(matmul(on(device, A), b, tile=tile).numpy(), A, b)


def test_float16_is_refused_with_the_way_out_where_there_is_none(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, features=frozenset()))
    a, b = A.astype(np.float16), B.astype(np.float16)
    for compute in (matmul, matmul.plan):
        for options in ({}, {"accumulate_dtype": "f16"}, {"bias": BIAS.astype(np.float16)}):
            with pytest.raises(DtypeError, match=r'^matmul: .* does not compute in f16: use dtype="f32"$'):
                compute(a, b, device=unchecked, **options)
        with pytest.raises(DtypeError, match=r'use dtype="f32"$'):
            compute(on(unchecked, A), B, dtype="f16")


# The plan.


def spoken(device: Device, a: object, b: object, **options: object) -> str:
    said = str(matmul.plan(a, b, device=device, **options))
    assert "\n" not in said
    return said


def test_a_plan_is_a_line_with_sizes_kernel_and_reason(unchecked: Device, tile: int | str) -> None:
    kernel = "naive" if tile == "naive" else f"tile {tile}"
    said = spoken(unchecked, A, B, tile=tile)
    assert said.startswith(f"{M}×{K}×{N} (nn, ")
    assert said.endswith(f": {kernel}: requested")
    assert spoken(unchecked, on(unchecked, A), B) == spoken(unchecked, A, on(unchecked, B))


def test_a_plan_computes_nothing(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **kwargs: object) -> None:
        raise AssertionError("a plan takes no memory")

    a, b = on(unchecked, A), on(unchecked, B)
    for name in ("empty", "upload", "zeros", "submit"):
        monkeypatch.setattr(unchecked, name, refuse)
    for given in ((A, B), (a, b), (a.T.T, B), (A[::-1], b[:, ::-1]), (a[::2, ::2], b[::2])):
        spoken(unchecked, *given, bias=BIAS, activation="gelu")


@SHORT
@pytest.mark.parametrize(
    ("view", "layouts"),
    [
        (lambda a, b: (a, b), "nn"),
        (lambda a, b: (a.swapaxes(0, 1).copy().swapaxes(0, 1), b), "tn"),
        (lambda a, b: (a, b.swapaxes(0, 1).copy().swapaxes(0, 1)), "nt"),
        (lambda a, b: (a[:, ::-1], b[::-1, ::-1]), "nn"),
        (lambda a, b: (a[0], b[:, 0]), "nt"),
    ],
    ids=["rows", "a by columns", "b by columns", "backwards", "vectors"],
)
def test_a_plan_is_for_the_layouts_that_are_multiplied(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, view: object, layouts: str
) -> None:
    from rusty_py.ops import matmul as operation

    planned, plan = [], operation.plan
    monkeypatch.setattr(
        operation, "plan", lambda *one, **kwargs: planned.append(plan(*one, **kwargs)) or planned[-1]
    )
    a, b = view(A, B)
    matmul.plan(a, b, device=unchecked)
    matmul(a, b, device=unchecked)
    x, y = on(unchecked, A), on(unchecked, B)
    x = array(A.T.copy(), device=unchecked).T if layouts[0] == "t" else x
    y = array(B.T.copy(), device=unchecked).T if layouts == "nt" and a.ndim == 2 else y
    if layouts in ("nn", "nt") and (a.ndim == 1 or a.strides[1] < 0):
        x, y = view(x, y)
    matmul.plan(x, y)
    unchecked.cache.forget_plans()  # Of the same layouts.
    matmul(x, y)
    for said, done in (planned[:2], planned[2:]):
        assert said == done
        if a.ndim == 2:
            assert str(said.problem.signature).startswith(layouts)


def test_a_plan_is_refused_as_its_product_would_be(unchecked: Device) -> None:
    a, b = on(unchecked, A), on(unchecked, B)
    pairs = [(A, A), (a, A), (A, 2.0), (a, a), (np.stack([A, A]), np.stack([B, B, B]))]
    pairs += [(A, B.astype(float)), (a, B.astype(int)), (A.astype(complex), b)]
    for given in pairs:
        with pytest.raises((ShapeError, DtypeError)) as refused:
            matmul(*given, device=unchecked)
        with pytest.raises(type(refused.value)) as planned:
            matmul.plan(*given, device=unchecked)
        assert str(planned.value) == str(refused.value)
    with Device(unchecked.adapter) as other, pytest.raises(DeviceError, match="another device"):
        matmul.plan(a, b, device=other)
    with small(unchecked, threads=256) as narrow, pytest.raises(LimitError, match="try a smaller tile"):
        matmul.plan(A, B, tile=32, device=narrow)
    with pytest.raises(ShapeError, match=r"^matmul: nothing to plan: \(0, 3\) @ \(3, 4\) has no terms$"):
        matmul.plan(np.zeros((0, 3), np.float32), np.zeros((3, 4), np.float32), device=unchecked)


# Numbers that spread.


@SHORT
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_lies_beside_a_view_stays_out_of_its_product(
    device: Device, tile: int | str, value: float
) -> None:
    wide_a, wide_b = np.full((M + 9, K + 9), value, np.float32), np.full((K + 9, N + 9), value, np.float32)
    wide_a[4 : M + 4, 3 : K + 3], wide_b[5 : K + 5, 2 : N + 2] = A, B
    a, b = on(device, wide_a)[4 : M + 4, 3 : K + 3], on(device, wide_b)[5 : K + 5, 2 : N + 2]
    assert_product(matmul(a, b, tile=tile).numpy(), A, B)
    assert_finished(matmul(a, b, bias=BIAS).numpy(), BIAS)
