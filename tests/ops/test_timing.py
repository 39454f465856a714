"""Clocks and ceilings on a real device."""

from collections.abc import Sequence

import numpy as np
import pytest

from rusty_py import Device
from rusty_py.bench import matmul_suite as suite
from rusty_py.bench.kernel_suites import measure
from rusty_py.bench.matmul_suite import MatmulSuite
from rusty_py.bench.report import json
from rusty_py.bench.shapes import Size
from rusty_py.gemm.simple import TILES
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.document import BenchRun, Result
from rusty_py.measure.figures import GFLOPS, share_of_ceiling
from rusty_py.measure.kernels import FILL
from rusty_py.measure.sampling import Options
from rusty_py.runtime import probe
from rusty_py.runtime.launch import Launch, prepare
from rusty_py.runtime.timing import TimedSample, Timer

from .products import launches, uniform

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def timer(unchecked: Device) -> Timer:
    return Timer(unchecked)


def empty_launch(device: Device) -> Launch:
    return prepare(device, FILL, outputs=[device.empty(4)], uniforms=(0, 0, 256), workgroups=(1, 1, 1))


def product(device: Device, n: int) -> list[Launch]:
    a, b = device.upload(uniform(n, n)), device.upload(uniform(n, n, seed=1))
    return launches(device, a, b, device.empty(4 * n * n), m=n, k=n, n=n)


def test_a_sample_has_both_clocks_or_says_why_not(unchecked: Device, timer: Timer) -> None:
    timer.sample([product(unchecked, 128)])
    sample = timer.sample([product(unchecked, 128)])
    assert sample.wall_ns > 0
    assert (sample.gpu_ns is None) == bool(sample.fault)
    if sample.gpu_ns is not None:
        assert 0 < sample.gpu_ns <= 1.01 * sample.wall_ns + 20_000


def test_several_submissions_are_timed_together(unchecked: Device, timer: Timer) -> None:
    work = product(unchecked, 128)

    def min_ns(submissions: int) -> float:
        samples = [timer.sample([work] * submissions) for _ in range(5)]
        return min(each.gpu_ns or each.wall_ns for each in samples)

    assert min_ns(8) > 2 * min_ns(1)


def test_more_submissions_than_stamps_are_timed_by_the_wall_clock(unchecked: Device, timer: Timer) -> None:
    sample = timer.sample([[empty_launch(unchecked)]] * 2049)
    assert (sample.gpu_ns, sample.fault) == (None, "too many submissions to stamp")
    assert sample.wall_ns > 0


def test_a_device_without_timestamps_is_timed_by_the_wall_clock(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(unchecked.adapter), "features", frozenset())
    sample = Timer(unchecked).sample([[empty_launch(unchecked)]])
    assert (sample.gpu_ns, sample.fault) == (None, "no timestamps")


def test_the_clock_check_trusts_one_clock_and_says_why(unchecked: Device, timer: Timer) -> None:
    clock = check_clock(timer, product(unchecked, 64)[0], at_least_s=0.01)
    assert clock.name in ("gpu", "wall")
    assert clock.reason


def test_ceilings_are_positive_and_an_empty_launch_is_short(unchecked: Device, timer: Timer) -> None:
    ceilings = CeilingMeter(unchecked, timer, sample_s=0.005)
    ceilings.clock = Clock("wall", "for this test")
    ceilings.fit(1e-3)
    assert ceilings.fma_gflops() > 0.1
    assert ceilings.copy_gbps(1 << 20) > 0.1
    assert ceilings.read_gbps(1 << 20) > 0.1
    assert 0 < ceilings.launch_ns() < 1e7
    assert ceilings.drift_control_ns(1) > 0


def test_a_submission_that_costs_much_does_not_lower_the_ceilings_of_bandwidth(unchecked: Device) -> None:
    class Slow(Timer):
        """1 ms for a submission, and bytes at 10 GB/s."""

        def sample(self, submissions: Sequence[Sequence[Launch]]) -> TimedSample:
            nbytes = sum(launch.flops for part in submissions for launch in part)
            return TimedSample(1e6 * len(submissions) + nbytes / 10, None, "for this test")

    ceilings = CeilingMeter(unchecked, Slow(unchecked), sample_s=0.005)
    ceilings.clock = Clock("wall", "for this test")
    for nbytes in (1 << 14, 1 << 20, 1 << 24):
        assert 9 < ceilings.copy_gbps(nbytes) <= 10, nbytes
        assert 9 < ceilings.read_gbps(nbytes) <= 10, nbytes


@pytest.mark.one_mode
def test_a_subgroup_is_a_power_of_two_or_unknown(device: Device) -> None:
    size = probe.subgroup_size(device)
    assert (size is None) == ("subgroup" not in device.adapter.features)
    if size is not None:
        assert size & (size - 1) == 0
        assert 1 <= size <= 128


def test_a_device_without_subgroups_has_no_size_of_them(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(unchecked.adapter), "features", frozenset())
    assert probe.subgroup_size(unchecked) is None


def benchmark(device: Device, *sizes: int) -> BenchRun:
    options = Options.for_adapter(device.adapter, runs=3, warmup_s=0.0, seed=1)
    suite = MatmulSuite([Size(n, n, n) for n in sizes], ["naive", *TILES])
    return measure(suite, device, options, context={}, progress=lambda text: None)


def ours(run: BenchRun) -> list[tuple[str, Result]]:
    """All results but NumPy's, with the names of their problems."""
    return [(row.problem.name, each) for row, each in run.results() if each.by != row.reference]


def test_the_benchmark_verifies_and_times_every_kernel(unchecked: Device) -> None:
    whole = benchmark(unchecked, 33, 64)
    assert [(size, each.by) for size, each in ours(whole)] == [
        (size, variant)
        for size in ("33×33×33", "64×64×64")
        for variant in ("naive", "tile 8", "tile 16", "tile 32")
    ]
    for row, result in whole.results():
        assert (result.verdict, result.reason) == ("ok", "")
        assert result.figure(GFLOPS) == pytest.approx(row.problem.flops / result.ns)
    for _, result in ours(whole):
        assert len(result.samples) == 3
        assert 0 < share_of_ceiling(result) <= 1.1
    for row in whole.rows:
        numpy = row.result("numpy")
        assert (numpy.clock, numpy.scope, numpy.kernel) == ("wall", "host", "")
        assert numpy.ns > 0
    assert len(whole.drift_control_ns) == 3 * 2
    assert json.parse(json.render(whole)) == whole


def test_the_benchmark_gives_a_wrong_kernel_no_rate(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatches = suite.dispatches
    monkeypatch.setattr(suite, "dispatches", lambda *arguments: dispatches(*arguments, accumulate=True))
    kernels = [each for _, each in benchmark(unchecked, 33).results() if each.scope == "kernel"]
    assert kernels
    for result in kernels:
        assert result.verdict == "wrong"
        assert (result.figures, result.stats, len(result.samples)) == ((), None, 0)


def test_the_benchmark_skips_what_the_budget_has_no_room_for(unchecked: Device) -> None:
    options = Options.for_adapter(unchecked.adapter, runs=3, max_time_s=0.0, seed=1)
    whole = measure(
        MatmulSuite([Size(64, 64, 64)], [8]), unchecked, options, context={}, progress=lambda text: None
    )
    assert [(each.by, each.verdict, each.reason) for _, each in whole.results()] == [
        ("tile 8", "skipped", "the budget is used up; try --max-time")
    ]


def test_timed_results_are_left_in_the_output(unchecked: Device, timer: Timer) -> None:
    buffer = unchecked.upload(np.zeros(4, np.uint32))
    work = prepare(unchecked, FILL, outputs=[buffer], uniforms=(4, 3, 256), workgroups=(1, 1, 1))
    timer.sample([[work]])
    got = np.zeros(4, np.uint32)
    unchecked.read(buffer, got)
    assert got.tolist() == [3] * 4
