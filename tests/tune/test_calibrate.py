"""A calibration of this machine's adapter, once for all that is asked of it, and what plans make of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Adapter, Device, calibration, matmul, ones
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import from_data
from rusty_py.profile import store
from rusty_py.profile.prior import prior_for
from rusty_py.profile.record import Profile, as_json, from_json

from ..system.program import Done, rusty_bench, strict_json, table

pytestmark = pytest.mark.alone

MAX_TIME_S = 20.0
"""Enough for all figures and the first kernels of a CPU driver, on a machine that does nothing else."""


@dataclass(frozen=True)
class Calibrated:
    """What the program printed, what it kept, and what it wrote."""

    done: Done
    kept: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def calibrated(adapter: Adapter, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    folder = tmp_path_factory.mktemp("calibrated")
    kept, target = folder / "profile.json", folder / "mine.json"
    arguments = ("calibrate", "--max-time", str(MAX_TIME_S), "--json", target)
    done = rusty_bench(*arguments, env={"RUSTY_PY_PROFILE": str(kept)})
    done.succeeds()
    return Calibrated(done, kept, strict_json(target.read_text(encoding="utf-8")))


@pytest.fixture
def device(calibrated: Calibrated, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """A device of a program that starts after the calibration."""
    monkeypatch.setenv(store.ENVIRONMENT, str(calibrated.kept))
    with Device(adapter, checked=False) as device:
        yield device


def test_the_machine_is_measured_in_time_and_by_a_clock_that_was_checked(
    calibrated: Calibrated, adapter: Adapter
) -> None:
    document, profile = calibrated.document, from_json(calibrated.document)
    assert profile.subject == adapter.name
    assert document["seconds"] < MAX_TIME_S + 0.5
    assert document["clock"]["name"] in ("gpu", "wall")
    assert document["clock"]["reason"]
    assert document["machine"] == store.key_of(adapter)
    kept = strict_json(calibrated.kept.read_text(encoding="utf-8"))
    assert kept == {"machine": store.key_of(adapter), **as_json(profile)}


def test_the_figures_are_of_what_runs_here(calibrated: Calibrated, adapter: Adapter) -> None:
    profile = from_json(calibrated.document)
    assert profile.fma_gflops > 1
    assert 1e-8 < profile.launch_s < 0.1
    assert {size for size, _ in profile.copy} == {size for size, _ in profile.read}
    assert all(0.05e9 < rate < 1e14 for _, rate in (*profile.copy, *profile.read))
    kernels = [from_data(each.kernel) for each in profile.kernels]
    assert all(kernel.supports(adapter.limits, GemmProblem(64, 64, 64)) for kernel in kernels[:1])
    assert all(
        0 < rate < 2 * 8 * profile.fma_gflops for each in profile.kernels for rate in each.gflops.values()
    )


def test_what_is_printed_are_the_same_figures(calibrated: Calibrated, adapter: Adapter) -> None:
    said, profile = calibrated.done.out, from_json(calibrated.document)
    assert said.startswith(f"{adapter}\n")
    assert f"{profile.fma_gflops:,.0f} GFLOPS" in said
    assert len(table(said)) == len(profile.copy)
    for each in profile.kernels:
        assert from_data(each.kernel).name in said
    assert f"kept in {calibrated.kept}" in said


def test_plans_follow_it_and_say_so_and_products_are_right(calibrated: Calibrated, device: Device) -> None:
    a = np.random.default_rng().random((130, 70), np.float32)
    plan = matmul.plan(a, a.T, device=device)
    assert plan.why.endswith(f", calibrated {calibrated.document['date']}")
    np.testing.assert_allclose(matmul(a, a.T, device=device), a.astype(np.float64) @ a.T, rtol=1e-4)


def test_calibrate_plans_by_what_it_found_from_then_on(
    calibrated: Calibrated, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def found(chosen: Adapter, *, max_time_s: float | None) -> calibration.Calibrated:
        asked.append((chosen, max_time_s))
        return calibration.Calibrated(chosen, from_json(calibrated.document), None, 1.0)

    monkeypatch.setattr(calibration, "calibrate_adapter", found)
    with Device(adapter, checked=False) as device:
        x = ones((64, 64), device=device)
        before = matmul.plan(x, x)
        (x @ x).numpy()
        assert str(prior_for(adapter)) in before.why
        profile = rp.calibrate(device, max_time_s=7.0)
        assert asked == [(adapter, 7.0)]
        assert device.attachments[Profile] is profile
        assert matmul.plan(x, x).why.endswith(f", {profile}")
        np.testing.assert_array_equal((x @ x).numpy(), np.full((64, 64), 64, np.float32))
    with pytest.raises(rp.DeviceError, match="calibrate"):
        rp.calibrate(device)
    assert len(asked) == 1
