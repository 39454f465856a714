"""The tuner's verification passes right kernels of the search space in any layout, and sees a wrong one."""

import random

import numpy as np
import pytest

from rusty_py import Device
from rusty_py.gemm.gemv import GemvN, GemvT
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.register_tiled import RegisterTiled
from rusty_py.gemm.register_tiled_cpu import RegisterTiledCpu
from rusty_py.gemm.search_space import FAMILIES, supports
from rusty_py.gemm.simple import Naive, Tiled
from rusty_py.tune.search import problem_of
from rusty_py.tune.verifier import Attempt, TrialVerifier

SMALL = problem_of(33, 40, 36)


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("sizes", [(33, 40, 36, 1), (5, 7, 3, 2), (1, 9, 1, 1)], ids=str)
def test_the_exam_passes_right_kernels_in_any_layout(
    unchecked: Device, layout: str, sizes: tuple[int, int, int, int]
) -> None:
    m, k, n, products = sizes
    problem = problem_of(m, k, n, layout=layout, products=products)
    verifier = TrialVerifier(unchecked, problem, np.random.default_rng(1))
    results = []
    for kernel in (Naive(), Tiled(8)):
        attempt = Attempt(verifier, GemmPlan(problem, kernel))
        assert attempt.verify().ok
        results.append(attempt.result())
    assert verifier.differs(*results) == ""


SAMPLE = random.Random(3)
THIN = [
    *(("nn", kernel) for kernel in SAMPLE.sample(list(FAMILIES["gemv_n"].kernels()), 5)),
    *(("nt", kernel) for kernel in SAMPLE.sample(list(FAMILIES["gemv_t"].kernels()), 5)),
]


@pytest.mark.parametrize(("layout", "kernel"), THIN, ids=str)
@pytest.mark.parametrize("transposed", [False, True], ids=["few rows", "few columns"])
def test_thin_kernels_of_the_space_are_right(
    unchecked: Device, layout: str, kernel: GemvN | GemvT, transposed: bool
) -> None:
    # Turned, a is what the kernel reads as b: by columns for the one, by rows for the other.
    problem = problem_of(5, 4100, 70, layout=layout)
    if transposed:
        problem = problem_of(70, 4100, 5, layout={"nn": "tn", "nt": "nt"}[layout])
    verifier = TrialVerifier(unchecked, problem, np.random.default_rng(1))
    for split_k in (1, 2):
        plan = GemmPlan(problem, kernel, split_k, transposed=transposed)
        if supports(plan.choice, unchecked.limits, problem):  # Not all have as many rows of k for each part.
            assert Attempt(verifier, plan).verify().ok
        else:
            assert split_k > 1


@pytest.mark.parametrize("kernel", SAMPLE.sample(list(FAMILIES["register_tiled_cpu"].kernels()), 4), ids=str)
def test_direct_kernels_of_the_space_are_right(unchecked: Device, kernel: RegisterTiledCpu) -> None:
    problem = problem_of(70, 600, 36, layout="nt")
    if not kernel.supports(unchecked.limits, problem):
        pytest.skip("no subgroups of eight")
    verifier = TrialVerifier(unchecked, problem, np.random.default_rng(1))
    for split_k in (1, 2):
        assert Attempt(verifier, GemmPlan(problem, kernel, split_k)).verify().ok


@pytest.mark.parametrize("kernel", SAMPLE.sample(list(FAMILIES["register_tiled"].kernels()), 3), ids=str)
def test_register_tiled_kernels_of_the_space_are_right(unchecked: Device, kernel: RegisterTiled) -> None:
    problem = problem_of(131, 150, 133, layout="nt", products=2)
    verifier = TrialVerifier(unchecked, problem, np.random.default_rng(1))
    for split_k, packs in ((1, ""), (2, "a"), (1, "b"), (2, "ab")):
        plan = GemmPlan(problem, kernel, split_k, packs)
        assert supports(plan.choice, unchecked.limits, problem)
        assert Attempt(verifier, plan).verify().ok


def test_the_exam_passes_packed_operands(unchecked: Device) -> None:
    problem = problem_of(33, 40, 36, layout="nt", products=2)
    verifier = TrialVerifier(unchecked, problem, np.random.default_rng(1))
    assert Attempt(verifier, GemmPlan(problem, Tiled(8), packs="ab")).verify().ok


def test_one_wrong_number_is_seen(unchecked: Device) -> None:
    verifier = TrialVerifier(unchecked, SMALL, np.random.default_rng(1))
    attempt = Attempt(verifier, GemmPlan(SMALL, Naive()))
    assert attempt.verify().ok
    c = attempt.result().copy()
    c[0, 0, 0] += 0.01  # type: ignore[operator]
    assert "outside the rounding bound" in verifier.compare(c).fault
    c[0, 0, 0] = np.nan
    assert not verifier.compare(c).ok
