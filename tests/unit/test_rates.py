"""How fast kernels are expected to be: what was measured, and the formula for what was not."""

import pytest

from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.problem import Form
from rusty_py.gemm.rates import FASTEST, MEASURED, estimate, rate


@pytest.mark.parametrize("kernel", MEASURED, ids=lambda each: each.name)
def test_the_formula_of_rates_is_near_what_was_measured(kernel: Blocked) -> None:
    assert estimate(kernel) == pytest.approx(MEASURED[kernel].tn / FASTEST, rel=0.05)


def test_what_was_measured_goes_before_the_formula() -> None:
    for kernel, rates in MEASURED.items():
        across = rate(kernel, Form(a_along_k=False))
        assert (across, rate(kernel, Form())) == (rates.tn / FASTEST, rates.nn / FASTEST)
        assert rate(kernel, Form(), "a") == across
        assert rate(kernel, Form(b_along_k=True)) == rates.nt / FASTEST
        assert rate(kernel, Form(a_along_k=False, b_along_k=True)) == rates.tt / FASTEST
        assert rate(kernel, Form(), "ab", pairs=True) == rates.pairs / FASTEST


def test_single_numbers_cost_a_rate_something_until_they_are_packed() -> None:
    for kernel, rates in MEASURED.items():
        ones = Form(a_fours=False, b_fours=False, c_fours=False)
        assert rate(kernel, ones) == pytest.approx(rates.ones / FASTEST)
        assert rate(kernel, ones, "a") < rate(kernel, ones, "ab") == rates.packed / FASTEST


def test_unknown_kernels_have_no_room_for_many_sums_in_pairs() -> None:
    few, many = Blocked(64, 64, 16, 8, 8, 8, 2), Blocked(128, 128, 8, 16, 8, 8, 2)
    pairs = [rate(kernel, Form(), "ab", pairs=True) for kernel in (few, many)]
    assert pairs[0] > rate(few, Form()) > 0
    assert pairs[1] < rate(many, Form()) / 2
