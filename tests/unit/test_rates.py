"""How fast kernels are expected to be: what was measured, and the estimate for what was not."""

from dataclasses import replace

import numpy as np
import pytest

from rusty_py import Limits
from rusty_py.dtypes import F16
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.blocked_family import FAMILY
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import CostModel, GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.rates import fitted, rate
from rusty_py.gemm.select import cost
from rusty_py.profile.prior import prior

LIMITS = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)
H200 = model_of(LIMITS, False, prior("nvidia-h200"))
KERNELS = [kernel for kernel in H200.rates if isinstance(kernel, Blocked)]
MEASURED = [kernel for kernel in KERNELS if "half2" in H200.rates[kernel]]
"""For all classes of operands."""


def of(kernel: Blocked, signature: Signature = Signature(), packs: str = "") -> GemmPlan:  # noqa: B008
    return GemmPlan(GemmProblem(2048, 2048, 2048, signature=signature), kernel, packs=packs)


def without(machine: CostModel, kernel: Blocked) -> CostModel:
    """The model of a device on which a kernel was not measured."""
    return replace(machine, rates={each: rates for each, rates in machine.rates.items() if each != kernel})


@pytest.mark.parametrize("kernel", [each for each in KERNELS if "tn" in H200.rates[each]], ids=str)
def test_the_estimate_is_near_what_was_measured(kernel: Blocked) -> None:
    assert without(H200, kernel).gflops(kernel, "tn") == pytest.approx(H200.rates[kernel]["tn"], rel=0.06)


def test_what_was_measured_goes_before_the_estimate() -> None:
    for kernel in MEASURED:
        rates = H200.rates[kernel]
        assert rate(of(kernel), H200) == rates["nn"]
        assert rate(of(kernel, Signature(a_along_k=False)), H200) == rates["tn"]
        assert rate(of(kernel, packs="a"), H200) == rates["tn"]
        assert rate(of(kernel, Signature(b_along_k=True)), H200) == rates["nt"]
        assert rate(of(kernel, Signature(a_along_k=False, b_along_k=True)), H200) == rates["tt"]
        half2 = Signature(stored=F16, result=F16, accumulate_dtype=F16)
        assert rate(of(kernel, half2, "ab"), H200) == rates["half2"]


def test_scalar_loads_cost_a_rate_something_until_they_are_packed() -> None:
    for kernel in MEASURED:
        rates = H200.rates[kernel]
        scalar = Signature(a_vec4=False, b_vec4=False, c_vec4=False)
        assert rate(of(kernel, scalar), H200) == pytest.approx(rates["scalar"])
        assert rate(of(kernel, scalar, "a"), H200) < rate(of(kernel, scalar, "ab"), H200) == rates["packed"]


def test_compound_axes_cost_every_kernel_something() -> None:
    for kernel in KERNELS:
        for along_k in (False, True):
            plain = Signature(b_along_k=along_k)
            times = [cost(of(kernel, each), H200) for each in (plain, replace(plain, compound="ab"))]
            assert 1 / 0.95 < times[1] / times[0] < 1 / 0.7


def test_kernels_that_were_not_measured_have_no_room_for_many_half2_accumulators() -> None:
    few, many = Blocked(64, 64, 16, 8, 8, 8, 2), Blocked(128, 128, 8, 16, 8, 8, 2)
    half2 = Signature(stored=F16, result=F16, accumulate_dtype=F16)
    times = {kernel: [cost(of(kernel, half2, packs), H200) for packs in ("ab", "")] for kernel in (few, many)}
    assert times[few][0] < times[few][1]
    assert times[many][0] > 2 * times[many][1]


def test_a_kernel_measured_for_some_operands_has_usual_rates_for_others() -> None:
    kernel = MEASURED[0]
    only = replace(H200, rates={**H200.rates, kernel: {"nn": 1000.0}})
    assert only.gflops(kernel, "nn") == 1000
    assert only.gflops(kernel, "tn") == pytest.approx(
        1000 * only.usual(kernel)["tn"] / only.usual(kernel)["nn"]
    )


def test_the_fit_finds_the_coefficients_that_gave_the_rates() -> None:
    rng = np.random.default_rng()
    true = rng.uniform(0.5, 2, 3) * 1e-4
    terms = [tuple(row) for row in rng.uniform(0, 1, (12, 3))]
    found = fitted(terms, [1 / float(np.dot(true, each)) for each in terms], FAMILY.coefficients)
    np.testing.assert_allclose(found, true, rtol=1e-6)


def test_a_fit_has_no_negative_coefficient_and_needs_enough_measurements() -> None:
    terms = [(1.0, float(i), float(9 - i)) for i in range(9)]
    found = fitted(terms, [1000.0 + 500 * i for i in range(9)], FAMILY.coefficients)
    assert min(found) >= 0
    assert max(found) > 0
    few = fitted(terms[:2], [1000.0, 1000.0], (1.0, 0.2, 12.0))
    np.testing.assert_allclose(np.divide(few, (1.0, 0.2, 12.0)), few[0])
    assert fitted([], [], (1.0, 2.0)) == (1.0, 2.0)
