"""Comparison of runs: matching, what is comparable, verdicts, and that unchanged code gives no alarm."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.compare_rates import MACHINES, PLANTED, Machine, of_files, planted, rates_of, simulated
from rusty_py.bench.report.json import render
from rusty_py.measure.compare import ComparedResult, RunComparison, compare
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Row, Samples
from rusty_py.measure.run_to_run import MIN_SPREAD, Change, intervals, t_quantile
from rusty_py.measure.stats import summarise

KERNELS = ("auto", "naive", "tile 8", "tile 16", "tile 32")
CONTEXT = {
    "date": "2026-01-01T00:00:00+00:00",
    "command": "rusty-bench",
    "rusty_py": {"version": "0.1.0", "commit": "aaaa"},
    "adapter": {"name": "GPU", "backend": "Vulkan", "type": "DiscreteGPU", "driver": "1"},
    "device": {"checked": False},
    "packages": {"wgpu": "0.32.0", "numpy": "2.0.0"},
    "options": {"seed": 1, "sample_s": 0.1},
}


def result(by: str, ms: float, *, samples: int = 7, **changes: object) -> Result:
    times = tuple(1e6 * ms * (1 + 0.001 * (i - samples // 2)) for i in range(samples))
    measured = Result(by, "ok", "gpu", sha256=by, samples=Samples(1, tuple(range(samples)), gpu_ns=times))
    return replace(measured, stats=summarise(times), **changes)  # type: ignore[arg-type]


def run_of(times: Mapping[str, Mapping[str, float | Result]], **facts: Mapping[str, object]) -> BenchRun:
    """A run of the problems with milliseconds, or whole results, of each implementation."""
    rows = [
        Row(
            BenchProblem("matmul", name),
            tuple(each if isinstance(each, Result) else result(by, each) for by, each in given.items()),
            reference="numpy",
        )
        for name, given in times.items()
    ]
    return BenchRun("matmul", {**CONTEXT, **facts}, rows, "gpu", drift_control_ns=[1e6] * 7)


def ladder(**changed: float) -> BenchRun:
    """Two problems of five kernels each; `changed` are factors of the times of kernels of the first."""
    first = {kernel: (i + 1) * changed.get(kernel, 1.0) for i, kernel in enumerate(KERNELS)}
    return run_of({"64": first, "128": {kernel: 10.0 * (i + 1) for i, kernel in enumerate(KERNELS)}})


def verdict(found: RunComparison, name: str, by: str) -> str:
    return of(found, name, by).verdict


def of(found: RunComparison, name: str, by: str) -> ComparedResult:
    (one,) = [each for each in found.results if (each.problem.name, each.by) == (name, by)]
    return one


def test_a_run_is_the_same_as_itself() -> None:
    found = compare([ladder()], [ladder()])
    assert {each.verdict for each in found.results} == {"SAME"}
    assert all(each.ratio == 1 and each.low and each.low < 1 for each in found.results)
    assert (found.common, found.control) == (1, 1)


def test_a_slower_and_a_faster_result_are_found_with_their_ratios() -> None:
    found = compare([ladder()], [ladder(auto=1.15, naive=1 / 1.15)])
    slow, fast = of(found, "64", "auto"), of(found, "64", "naive")
    assert (slow.verdict, fast.verdict) == ("SLOWER", "FASTER")
    assert slow.ratio == pytest.approx(1 / 1.15)
    assert fast.ratio == pytest.approx(1.15)
    assert fast.low
    assert fast.high
    assert 1 < fast.low < 1.15 < fast.high
    assert [each.verdict for each in found.results].count("SAME") == 8


def test_a_change_of_all_results_by_machine_or_driver_is_not_blamed_on_a_kernel() -> None:
    other = ladder()
    other.rows = [
        replace(row, results=tuple(scaled(each, 1.2) for each in row.results)) for row in other.rows
    ]
    found = compare([ladder()], [other])
    assert {each.verdict for each in found.results} == {"UNSURE"}
    assert found.common == pytest.approx(1 / 1.2)


def test_a_change_of_all_kernels_with_new_code_is_found_if_the_drift_control_is_steady() -> None:
    base, other = run_of({"64": {"auto": 1.0}, "128": {"auto": 9.0}}), run_of({"64": {}, "128": {}})
    other.rows = [
        replace(row, results=(scaled(each, 1 / 1.2, sha256="new"),))
        for row in base.rows
        for each in row.results
    ]
    assert [each.verdict for each in compare([base], [other]).results] == ["FASTER", "FASTER"]
    other.drift_control_ns = [1e6 / 1.2] * 7  # The machine was as much faster.
    assert [each.verdict for each in compare([base], [other]).results] == ["UNSURE", "UNSURE"]


def test_a_problem_sampled_while_the_machine_was_busy_is_not_slower() -> None:
    def run(busy: float) -> BenchRun:
        factors = {"64": busy, "96": 1.0, "128": 1.0}
        return run_of({name: dict.fromkeys(KERNELS, factor) for name, factor in factors.items()})

    found = compare([run(1.0)], [run(1.4)])
    assert {verdict(found, "64", kernel) for kernel in KERNELS} == {"UNSURE"}
    assert {verdict(found, "96", kernel) for kernel in KERNELS} == {"SAME"}


def with_calls(run: BenchRun, factors: Sequence[float]) -> BenchRun:
    """The run with a whole call of each factor in a problem of its own."""
    calls = [replace(result("ours", each), clock="wall", scope="end to end", sha256="") for each in factors]
    of_calls = run_of({f"call {i}": {"ours": call} for i, call in enumerate(calls)})
    return replace(run, rows=[*run.rows, *of_calls.rows])


def test_some_calls_sampled_while_the_core_ran_at_another_clock_are_not_faster() -> None:
    base, other = with_calls(ladder(), [1.0] * 10), with_calls(ladder(), [1.0] * 6 + [1 / 1.4] * 4)
    found = compare([base], [other])
    assert not {verdict(found, f"call {i}", "ours") for i in range(10)} & {"FASTER", "SLOWER"}


def test_calls_that_vary_between_runs_do_not_hide_a_slower_kernel() -> None:
    noisy = [1.0, 1.5, 0.7, 1.3, 0.8, 1.6, 0.6, 1.4, 0.9, 1.2] * 2
    base, other = with_calls(ladder(), [1.0] * 20), with_calls(ladder(auto=1.15), noisy)
    assert verdict(compare([base], [other]), "64", "auto") == "SLOWER"


def test_the_graph_of_a_reference_is_a_reference() -> None:
    base = run_of({"64": {"auto": 1.0, "numpy": 1.0, "numpy graph": 1.0}})
    other = run_of({"64": {"auto": 1.0, "numpy": 1.0, "numpy graph": 3.0}})
    assert verdict(compare([base], [other]), "64", "numpy graph") == "reference"


def scaled(measured: Result, factor: float, **changes: object) -> Result:
    stats = summarise([ns * factor for ns in measured.samples_ns])
    return replace(measured, stats=stats, **changes)  # type: ignore[arg-type]


def test_results_are_matched_by_problem_and_implementation() -> None:
    base = run_of({"64": {"auto": 1.0, "naive": 2.0}, "96": {"auto": 3.0}})
    other = run_of({"64": {"auto": 1.0, "tile 8": 2.0}})
    found = compare([base], [other])
    assert [(each.problem.name, each.by) for each in found.results] == [("64", "auto")]
    assert found.only_base == (("64", "naive"), ("96", "auto"))
    assert found.only_other == (("64", "tile 8"),)


@pytest.mark.parametrize("changed", [{"dtype": "f16"}, {"options": {"layout": "nt"}}, {"axes": {"m": 2}}])
def test_problems_of_one_name_that_differ_otherwise_are_not_matched(changed: Mapping[str, object]) -> None:
    base, other = ladder(), ladder()
    problem = replace(base.rows[0].problem, **changed)  # type: ignore[arg-type]
    other.rows[0] = replace(other.rows[0], problem=problem)
    found = compare([base], [other])
    assert {each.problem.name for each in found.results} == {"128"}
    assert len(found.only_base) == len(found.only_other) == 5


@pytest.mark.parametrize(
    ("group", "fact", "value", "reason"),
    [
        ("adapter", "name", "iGPU", "adapter: GPU in base, iGPU in other"),
        ("adapter", "backend", "Metal", "backend: Vulkan in base, Metal in other"),
        ("adapter", "type", "CPU", "adapter type: DiscreteGPU in base, CPU in other"),
        ("device", "checked", True, "run-time checks: False in base, True in other"),
    ],
)
def test_runs_of_different_machines_are_not_comparable(
    group: str, fact: str, value: object, reason: str
) -> None:
    other = with_fact(ladder(auto=2.0), group, fact, value)
    found = compare([ladder()], [other])
    assert found.comparability.refused == (reason,)
    assert {(each.verdict, each.reason, each.ratio) for each in found.results} == {
        ("NOT COMPARABLE", reason, None)
    }
    assert found.slower_than(0.1) == []


def with_fact(run: BenchRun, group: str, fact: str, value: object) -> BenchRun:
    known = run.context[group]
    assert isinstance(known, dict)
    return replace(run, context={**run.context, group: {**known, fact: value}})


def test_another_driver_calls_for_care_and_another_commit_is_told() -> None:
    other = with_fact(with_fact(ladder(), "adapter", "driver", "2"), "rusty_py", "commit", "bbbb")
    other = with_fact(with_fact(other, "options", "seed", 2), "options", "max_time_s", 9.0)
    found = compare([ladder()], [other]).comparability
    assert (found.refused, found.warned) == ((), ("driver: 1 in base, 2 in other",))
    assert [(each.fact, each.base, each.other) for each in found.informed] == [
        ("commit", "aaaa", "bbbb"),
        ("option max_time_s", "None", "9.0"),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"clock": "wall"}, "clock: gpu in base, wall in other"),
        ({"scope": "host"}, "scope: kernel in base, host in other"),
        ({"verdict": "wrong", "stats": None, "reason": "element 3"}, "wrong in other: element 3"),
    ],
)
def test_a_result_by_another_clock_or_without_a_time_has_no_ratio(
    changes: Mapping[str, object], reason: str
) -> None:
    other = run_of({"64": {"auto": replace(result("auto", 1.0), **changes), "naive": 2.0}})  # type: ignore[arg-type]
    found = compare([run_of({"64": {"auto": 1.0, "naive": 2.0}})], [other])
    auto = of(found, "64", "auto")
    assert (auto.verdict, auto.reason, auto.ratio, auto.low) == ("NOT COMPARABLE", reason, None, None)
    assert verdict(found, "64", "naive") == "SAME"


def test_a_changed_kernel_is_marked_by_its_hash() -> None:
    other = run_of({"64": {"auto": result("auto", 1.0, sha256="new"), "naive": 1.0, "plain": 1.0}})
    base = run_of({"64": {"auto": 1.0, "naive": 1.0, "plain": result("plain", 1.0, sha256="")}})
    found = compare([base], [other])
    assert [each.kernel for each in found.results] == ["changed", "same", ""]


def test_a_reference_is_not_judged() -> None:
    base, other = (run_of({"64": {"auto": 1.0, "numpy": ms}}) for ms in (1.0, 9.0))
    numpy = of(compare([base], [other]), "64", "numpy")
    assert (numpy.verdict, numpy.low) == ("reference", None)
    assert numpy.ratio == pytest.approx(1 / 9)


def test_few_samples_have_a_ratio_and_no_interval() -> None:
    base = run_of({"64": {"auto": result("auto", 3.0, samples=4)}})
    (found,) = compare([base], [run_of({"64": {"auto": 1.0}})]).results
    assert (found.verdict, found.reason, found.low) == ("UNSURE", "fewer than 5 samples", None)
    assert found.ratio == pytest.approx(3, rel=0.01)


def test_slower_than_needs_the_whole_interval() -> None:
    found = compare([ladder()], [ladder(auto=1.3, naive=1.11)])
    assert verdict(found, "64", "naive") == "SLOWER"
    assert [each.by for each in found.slower_than(0.1)] == ["auto"]
    assert found.slower_than(0.3) == []


def test_repeated_runs_narrow_the_intervals() -> None:
    draw, machine = random.Random(3), Machine("noisy", 0.0, 0.0, 0.02, 0.02, 30)

    def half_width(runs: int) -> float:
        sides = [[simulated(machine, 4, KERNELS, draw) for _ in range(runs)] for _ in range(2)]
        return compare(*sides).half_width or math.nan

    assert half_width(9) < 0.6 * half_width(1)


def test_a_result_that_a_repeated_run_lacks_is_not_compared() -> None:
    found = compare([ladder(), run_of({"64": {"auto": 1.0}})], [ladder()])
    assert [(each.problem.name, each.by) for each in found.results] == [("64", "auto")]
    assert len(found.only_other) == 9


def test_runs_without_common_results_compare_nothing() -> None:
    found = compare([run_of({"64": {"auto": 1.0}})], [run_of({"65": {"auto": 1.0}})])
    assert (found.results, found.half_width, found.common) == ((), None, None)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_unchanged_code_seldom_gives_an_alarm(machine: Machine) -> None:
    rates = rates_of(pairs(machine, 40))
    assert rates.alarms <= 0.02 * rates.unchanged


@pytest.mark.parametrize("name", ["idle GPU", "desktop GPU"])
def test_a_planted_change_is_found_on_a_quiet_machine(name: str) -> None:
    (machine,) = [each for each in MACHINES if each.name == name]
    rates = rates_of(pairs(machine, 40))
    assert rates.found >= 0.8 * rates.pairs


def test_intervals_of_samples_alone_would_give_alarms() -> None:
    """The simulated machines are a hard case: the error of the samples is far less than the variation."""
    alarms = results = 0
    for base, other in pairs(MACHINES[2], 40):
        for each in compare(base, other).results:
            errors = [
                side[0].row(each.problem.name).result(each.by).stats.noise  # type: ignore[union-attr]
                for side in (base, other)
            ]
            alarms += abs(math.log(each.ratio or 1)) > 1.96 * math.hypot(*errors)
            results += 1
    assert alarms > 0.2 * results


def pairs(machine: Machine, number: int) -> list[tuple[Sequence[BenchRun], Sequence[BenchRun]]]:
    draw = random.Random(5)
    runs = [[simulated(machine, 2, KERNELS, draw)] for _ in range(2 * number)]
    return list(zip(runs[::2], runs[1::2], strict=True))


def test_a_planted_change_multiplies_the_time_of_one_result() -> None:
    found = compare(
        [ladder()], [planted(ladder(), lambda row, each: (row.problem.name, each.by) == ("64", "auto"))]
    )
    ratios = {(each.problem.name, each.by): each.ratio for each in found.results}
    assert ratios.pop(("64", "auto")) == pytest.approx(PLANTED)
    assert set(ratios.values()) == {1}


def test_rates_of_files_count_their_pairs(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.json" for i in range(3)]
    for path in paths:
        path.write_text(render(ladder()), encoding="utf-8")
    *_, last = of_files(paths).splitlines()
    assert last.split() == ["3", "0.0%", "0.0%", "0%", "100%", "100%", "100%", last.split()[-1]]


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 3, 3.182), (0.995, 8, 3.355), (0.975, 120, 1.980)],
)
def test_quantiles_of_student_are_those_of_tables(probability: float, freedom: int, expected: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(expected, abs=6e-4)


def test_an_interval_without_any_variation_has_the_assumed_one() -> None:
    change = Change(0.0, error=0.0, scatter=0.0, problem="64", clock="gpu", same_code=True)
    (found,) = intervals([change], control=None)
    assert found.high == -found.low == pytest.approx(MIN_SPREAD * t_quantile(0.975, 2))


def test_the_interval_covers_the_change_with_and_without_the_drift_of_the_machine() -> None:
    change = Change(0.2, error=0.0, scatter=0.0, problem="64", clock="gpu", same_code=False)
    (found,) = intervals([change], control=0.15)
    width = MIN_SPREAD * t_quantile(0.975, 2)
    assert (found.low, found.high) == (pytest.approx(0.05 - width), pytest.approx(0.2 + width))
