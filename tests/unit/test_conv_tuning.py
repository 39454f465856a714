"""Tuned algorithms of convolutions: what is stored, believed and selected."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rusty_py.bench import tuning as listing
from rusty_py.bench.conv_tuning import Choice, _outcome
from rusty_py.bench.convolutions import Convolution
from rusty_py.dtypes import F32
from rusty_py.gemm import tuning_file
from rusty_py.gemm.tuning_entry import machine_of
from rusty_py.measure.document import Row
from rusty_py.ops.conv import tuning
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation, Taps
from rusty_py.ops.conv.select import selected
from rusty_py.ops.conv.tuning import TunedAlgorithm, choice, drop, key_of, put, read

from .bench.test_convolutions import row_of, run_of

ADAPTER: Any = SimpleNamespace(name="A GPU", backend="Vulkan", type="DiscreteGPU", driver="1")


def array(*shape: int, step: int = 1) -> Any:
    strides = tuple(step * 10**i for i in reversed(range(len(shape))))
    return SimpleNamespace(shape=shape, strides=strides, kind=F32)


def correlation(**changes: Any) -> Correlation:
    x, w, out = array(1, 1, 3, 8, 9), array(1, 4, 3, 3, 3), array(1, 1, 4, 8, 9)
    return replace(Correlation(x, w, out, Taps((-1, -1))), **changes)


def entry(algorithm: str = "fast", **changes: Any) -> TunedAlgorithm:
    machine = asdict(machine_of(ADAPTER))
    made = TunedAlgorithm(
        machine, key_of(correlation()), "9×8 3:4", algorithm, 1.0, "basic", 2.5, "2026-01-02"
    )
    return replace(made, **changes)


def device() -> Any:
    """One that has not read the file yet."""
    return SimpleNamespace(attachments={}, adapter=ADAPTER)


def measured(**times_us: float) -> Row:
    return run_of(row_of(Convolution(9, 8), times_us)).rows[0]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "tuning.json"
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(found))
    return found


def named(name: str, seconds: float, *, automatic: bool = True, refusal: str | None = None) -> Any:
    return Algorithm(
        name,
        lambda device, problem: refusal,
        lambda device, problem: seconds,
        lambda device, problem: None,
        lambda device, problem: "",
        tuple,
        automatic,
    )


def test_an_entry_is_found_for_the_same_problem_on_the_same_machine(path: Path) -> None:
    put(path, entry())
    assert choice(device(), correlation()) == entry()
    for other in (
        correlation(x=array(1, 1, 3, 8, 9, step=2)),
        correlation(taps=Taps((-1, -1), stride=(2, 2))),
        correlation(out=array(2, 1, 4, 8, 9)),
    ):
        assert choice(device(), other) is None
    put(path, entry(machine={**entry().machine, "driver": "2"}, algorithm="other"))
    assert choice(device(), correlation()) == entry()
    assert choice(device(), correlation(activation="relu")) == entry()


def test_a_newer_entry_replaces_the_older_and_drop_removes_it(path: Path) -> None:
    put(path, entry())
    put(path, entry("faster"))
    assert [each.algorithm for each in read(path)] == ["faster"]
    drop(path, machine_of(ADAPTER), entry().problem)
    assert not list(read(path))
    assert choice(device(), correlation()) is None


def test_entries_of_matrix_products_stay_and_damaged_ones_are_ignored(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def damage(content: dict[str, Any]) -> None:
        content["entries"] = [{"kernel": "of a product"}]
        content["convolutions"] = [7, {"problem": "no more"}, asdict(entry(ms=-1.0))]

    tuning_file.change(path, damage)
    put(path, entry())
    assert list(read(path)) == [entry()]
    assert tuning_file.content(path)["entries"] == [{"kernel": "of a product"}]
    assert "a convolution is ignored" in capsys.readouterr().err


def test_auto_selects_the_tuned_algorithm_if_it_may(path: Path) -> None:
    put(path, entry())
    problem, basic = correlation(), named("basic", 1.0)

    def auto(fast: Any) -> str:
        found = {each.name: each for each in (basic, fast)}
        return selected(device(), problem, found, "auto", operation="conv2d").name

    assert auto(named("fast", 2.0)) == "fast"
    assert auto(named("fast", 2.0, refusal="not this")) == "basic"
    assert auto(named("fast", 2.0, automatic=False)) == "basic"
    assert auto(named("another", 2.0)) == "basic"


def test_the_fastest_is_kept_if_it_is_faster_than_the_default_beyond_the_noise(path: Path) -> None:
    default = Choice(entry().problem, "basic", "9×8")
    said = _outcome(measured(basic=20.0, optimized=10.0), default, device(), path)
    assert said == f"9×8 3:64: optimized, 2.00 times as fast as basic, is kept in {path}"
    found = choice(device(), correlation())
    assert found
    assert (found.algorithm, found.default) == ("optimized", "basic")
    assert found.why.endswith("2.00 times as fast as basic")
    assert "optimized" in listing.listing()


def test_a_default_that_is_as_fast_removes_an_older_entry(path: Path) -> None:
    default = Choice(entry().problem, "basic", "9×8")
    for optimized in (20.0, 9.999):
        put(path, entry())
        row = measured(basic=10.0, optimized=optimized)
        assert "as fast as any" in _outcome(row, default, device(), path)
        assert choice(device(), correlation()) is None
    put(path, entry())
    assert "too few samples of basic" in _outcome(measured(optimized=9.0), default, device(), path)
    assert tuning.choice(device(), correlation()) == entry()
