"""Tuning of the gradients of convolutions: what is measured, and how it is verified."""

from pathlib import Path

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device
from rusty_py.bench.conv_gradients import KEY, GradientSuite
from rusty_py.bench.conv_suite import ConvSuite
from rusty_py.bench.conv_tuning import FINDINGS, tuned
from rusty_py.bench.convolutions import Convolution
from rusty_py.bench.kernel_suites import measure
from rusty_py.gemm import tuning_file
from rusty_py.measure.correlation_verification import CorrelationVerifier
from rusty_py.measure.references import library
from rusty_py.measure.sampling import Options
from rusty_py.measure.verification import POISON
from rusty_py.ops.conv import tuning
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS

from ..each import each_reported
from .correlations import Case
from .operands import on

QUICK = Options(1e-3, 0.0, 5, 5, 0.0, 60.0, seed=1)
STRIDED = Convolution(10, 9, 4, 8, stride=2)


def test_gradients_are_measured_as_the_correlations_that_backward_asks_for(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tuning, "choice", lambda device, problem: asked.append(tuning.key_of(problem)))
    x, w = (on(unchecked, np.ones(shape, np.float32)) for shape in ((1, 4, 9, 10), (8, 4, 3, 3)))
    unchecked.cache.forget_plans()
    rp.grad(lambda x, w: (rp.conv2d(x, w, stride=2, padding=1) ** 2).sum(), (0, 1))(x, w)
    suite = GradientSuite([STRIDED])
    run = measure(suite, unchecked, QUICK, context={}, progress=lambda text: None)
    assert [row.problem.name.removeprefix(STRIDED.name) for row in run.rows] == [
        *(f" input {i}/4" for i in range(1, 5)),
        " weights",
    ]
    assert {row.problem.options[KEY] for row in run.rows} <= {*asked}
    results = [(row.problem.name, each) for row in run.rows for each in row.results]
    with each_reported() as case:
        for name, each in results:
            with case(f"{name} {each.by}"):
                assert each.verdict == "ok", each.reason
    assert {each.by for _, each in results} <= {*ALGORITHMS, *WEIGHT_ALGORITHMS}


def test_tuning_decides_for_convolutions_and_for_their_gradients(
    unchecked: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(tmp_path / "tuning.json"))
    each = Convolution(10, 9, 4, 8)
    suite = ConvSuite([each], [name for name, x in ALGORITHMS.items() if x.automatic], library("numpy"))
    run = tuned(suite, unchecked, QUICK, context={}, progress=lambda text: None)
    decided = [line.split(":", 2)[:2] for line in run.context[FINDINGS]]
    assert [":".join(line) for line in decided] == [each.name, f"{each.name} input", f"{each.name} weights"]


def test_wrong_and_missing_elements_are_found(unchecked: Device) -> None:
    case_of = Case(2, 1, 8, (9, 12), 12, (3, 3), (1, 1), stride=(2, 1))
    rng = np.random.default_rng(0)
    problems = case_of.correlation(unchecked), case_of.weight_correlation(unchecked)
    for problem, algorithms in zip(problems, (ALGORITHMS, WEIGHT_ALGORITHMS), strict=True):
        algorithms["basic"].run(unchecked, problem)
        verifier = CorrelationVerifier(problem, rng)
        result = (problem.out if algorithms is ALGORITHMS else problem.dw).numpy()
        assert verifier.compare(result).ok
        assert "wrong" in verifier.compare(result + np.float32(1e-3)).fault
        missing = result.copy()
        missing.view(np.uint32).flat[7] = POISON
        assert "never written" in verifier.compare(missing).fault
