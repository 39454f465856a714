"""Implicit GEMM: what it reads in place, what it packs, and sums divided among dispatches."""

from dataclasses import replace

import pytest

from rusty_py import Device
from rusty_py.ops.conv.implicit_gemm.algorithm import IMPLICIT_GEMM, WEIGHTS_IMPLICIT_GEMM
from rusty_py.ops.conv.implicit_gemm.products import Product, product_of, weights_product_of
from rusty_py.profile.prior import prior
from rusty_py.profile.record import Profile

from ..each import each_reported
from .correlations import FORMS, Case
from .placed import limited

PADDED = Case(2, 1, 8, (9, 12), 12, (3, 3), (1, 1))
VALID = replace(PADDED, padding=(0, 0), size=(10, 14))
ONE_TAP = replace(PADDED, kernel=(1, 1), padding=(0, 0))
GROUPED = Case(
    2, 3, 5, (9, 11), 7, (3, 2), (1, 2), stride=(2, 1), dilation=(1, 2), bias=True, activation="relu"
)


def packed(product: Product) -> str:
    """The names of the operands that are copied."""
    return " ".join(product.packed_sources)


def test_operands_that_vec4_loads_can_read_stay_in_place(unchecked: Device) -> None:
    with each_reported() as case:
        for found, layout, copies, compound in (
            (PADDED, "rows", "x w", "bn"),
            (PADDED, "channels last", "w", "a"),
            (replace(PADDED, padding=(1, -1)), "channels last", "x w", "a"),
            (replace(PADDED, batch=1), "rows", "x w", "b"),
            (VALID, "channels last", "w", "a"),
            (replace(VALID, channels=6), "channels last", "x w", "a"),
            (ONE_TAP, "rows", "", "bn"),
            (ONE_TAP, "channels last", "", ""),
            (replace(ONE_TAP, size=(32, 32)), "rows", "", ""),
            (replace(ONE_TAP, size=(7, 7)), "rows", "x", "n"),
        ):
            with case(f"{found}, {layout}"):
                product = product_of(found.correlation(unchecked, x=layout, out=layout))
                assert (packed(product), product.problem.signature.compound) == (copies, compound)
                assert product.problem.signature.a_vec4
                assert product.problem.signature.b_vec4


def test_gradients_of_weights_read_planes_of_results_in_place(unchecked: Device) -> None:
    with each_reported() as case:
        for found, layout, copies in (
            (PADDED, "rows", "x"),
            (PADDED, "channels last", ""),
            (VALID, "channels last", ""),
            (replace(PADDED, size=(7, 7)), "rows", "x dout"),
            (ONE_TAP, "rows", ""),
        ):
            with case(f"{found}, {layout}"):
                product = weights_product_of(found.weight_correlation(unchecked, x=layout))
                assert packed(product) == copies
                assert product.problem.signature.a_vec4
                assert product.problem.signature.b_vec4


def test_a_copy_holds_what_the_taps_read(unchecked: Device) -> None:
    strided = replace(ONE_TAP, size=(9, 13), stride=(2, 3))
    assert product_of(strided.correlation(unchecked)).x.elements == 2 * 5 * 5 * 8


@pytest.mark.parametrize("form", FORMS)
def test_sums_divided_among_dispatches(unchecked: Device, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    problem = GROUPED.correlation(unchecked, x=form, out=form)
    gradient = GROUPED.weight_correlation(unchecked, x=form)
    monkeypatch.setattr(unchecked.throughput, "flops", lambda kernel: 2 * 16 * 32 * 32)
    with limited(unchecked, {"groups": 2}):
        IMPLICIT_GEMM.run(unchecked, problem)
        WEIGHTS_IMPLICIT_GEMM.run(unchecked, gradient)
    assert GROUPED.expected().error(problem.out.numpy()) <= 1
    assert GROUPED.expected_weights().error(gradient.dw.numpy()) <= 1


def test_a_gpu_splits_long_sums(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="DiscreteGPU"))
    monkeypatch.setitem(unchecked.attachments, Profile, prior("nvidia-h200"))
    deep = Case(1, 1, 256, (14, 14), 64, (3, 3), (1, 1)).correlation(unchecked)
    assert "split-K" in IMPLICIT_GEMM.describe(unchecked, deep)
    assert IMPLICIT_GEMM.seconds(unchecked, deep) < 1e-3
    assert IMPLICIT_GEMM.refusal(unchecked, deep) is None
    with limited(unchecked, {"binding_bytes": 100_000}):
        assert "a packed copy" in str(IMPLICIT_GEMM.refusal(unchecked, deep))
