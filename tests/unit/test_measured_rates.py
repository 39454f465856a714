"""How fast kernels are expected to be: what was measured, and the formula for what was not."""

from dataclasses import replace

import pytest

from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.measured_rates import FASTEST, MEASURED, estimate, rate
from rusty_py.gemm.problem import Signature


@pytest.mark.parametrize("kernel", MEASURED, ids=lambda each: each.name)
def test_the_formula_of_rates_is_near_what_was_measured(kernel: Blocked) -> None:
    assert estimate(kernel) == pytest.approx(MEASURED[kernel].tn / FASTEST, rel=0.05)


def test_what_was_measured_goes_before_the_formula() -> None:
    for kernel, rates in MEASURED.items():
        across = rate(kernel, Signature(a_along_k=False))
        assert (across, rate(kernel, Signature())) == (rates.tn / FASTEST, rates.nn / FASTEST)
        assert rate(kernel, Signature(), "a") == across
        assert rate(kernel, Signature(b_along_k=True)) == rates.nt / FASTEST
        assert rate(kernel, Signature(a_along_k=False, b_along_k=True)) == rates.tt / FASTEST
        assert rate(kernel, Signature(), "ab", half2=True) == rates.half2 / FASTEST


def test_single_numbers_cost_a_rate_something_until_they_are_packed() -> None:
    for kernel, rates in MEASURED.items():
        ones = Signature(a_vec4=False, b_vec4=False, c_vec4=False)
        assert rate(kernel, ones) == pytest.approx(rates.ones / FASTEST)
        assert rate(kernel, ones, "a") < rate(kernel, ones, "ab") == rates.packed / FASTEST


def test_compound_axes_cost_every_kernel_something() -> None:
    for kernel in MEASURED:
        for along_k in (False, True):
            plain = Signature(b_along_k=along_k)
            assert 0.7 < rate(kernel, replace(plain, compound="ab")) / rate(kernel, plain) < 0.95


def test_unknown_kernels_have_no_room_for_many_sums_in_pairs() -> None:
    few, many = Blocked(64, 64, 16, 8, 8, 8, 2), Blocked(128, 128, 8, 16, 8, 8, 2)
    half2 = [rate(kernel, Signature(), "ab", half2=True) for kernel in (few, many)]
    assert half2[0] > rate(few, Signature()) > 0
    assert half2[1] < rate(many, Signature()) / 2
