"""When sampling stops, and in what order it goes; a script plays device and timer."""

import time
from types import SimpleNamespace

import pytest

from rusty_py.measure.case import BenchProblem, Case, Verification
from rusty_py.measure.clock import Clock
from rusty_py.measure.sampling import Options, Sampler, Track, run_ns
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Launch, Spec
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.timing import TimedSample

MS = 1e6  # In nanoseconds.
GPU = Clock("gpu", "")
SPEC = Spec("scripted", inputs=0, outputs=1, threads=1)
CASE = Case(BenchProblem("scripted", "work", {}, "f32", flops=2 * 64**3, bytes=0), "scripted", "", "")
PROOF = Verification("by script")


def adapter(*, is_cpu: bool) -> SimpleNamespace:
    return SimpleNamespace(is_cpu=is_cpu)


def test_options_default_to_what_the_adapter_needs() -> None:
    cpu = Options.for_adapter(adapter(is_cpu=True), seed=7)
    gpu = Options.for_adapter(adapter(is_cpu=False), seed=7)
    assert gpu.sample_s == 0.1
    assert cpu.sample_s < gpu.sample_s
    assert cpu.min_samples < gpu.min_samples
    assert cpu.max_time_s == gpu.max_time_s == 60.0
    assert cpu.seed == 7


def test_a_number_of_runs_is_exact() -> None:
    options = Options.for_adapter(adapter(is_cpu=False), runs=3, min_time_s=5.0)
    assert (options.min_samples, options.max_samples, options.min_time_s) == (3, 3, 0.0)


def test_seeds_differ_unless_given() -> None:
    seeds = {Options.for_adapter(adapter(is_cpu=True)).seed for _ in range(5)}
    assert len(seeds) > 1


class Bench:
    """Kernels that take the times they are given, and a diary of what was done to them."""

    def __init__(self, *times_ms: list[float], left_s: float = 1e3, **changes: object) -> None:
        self.diary: list[str] = []
        self.times = [iter(times) for times in times_ms]
        self.tracks = [Track(CASE, self.work(i), PROOF) for i in range(len(times_ms))]
        for i, track in enumerate(self.tracks):
            track.parts = [[self.launch(i)]]
        options = vars(Options.for_adapter(adapter(is_cpu=False), seed=1)) | changes
        device = SimpleNamespace(throughput=Throughput("CPU"))
        timer = SimpleNamespace(sample=self.sample)
        self.sampler = Sampler(device, timer, GPU, Options(**options), deadline=time.monotonic() + left_s)

    def work(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(
            poison=lambda: self.diary.append(f"poison {i}"), launches=lambda: [self.launch(i)]
        )

    def launch(self, i: int) -> Launch:
        return Launch(SPEC, EncodedDispatch(i, None, 0, None, 1, 1, 1), buffers=(), flops=1)

    def sample(self, parts: list[list[Launch]]) -> TimedSample:
        runs, i = sum(map(len, parts)), parts[0][0].encoded.pipeline
        self.diary.append(f"sample {i}")
        ns = runs * MS * next(self.times[i])
        return TimedSample(1.1 * ns, ns)

    def rounds(self, *, share_s: float = 1e3) -> str:
        return self.sampler.rounds(
            self.tracks,
            drift_control=lambda: self.diary.append("drift control"),
            share_s=share_s,
        )


def noisy(n: int = 40) -> list[float]:
    return [1.0 + 0.3 * (i * 5 % 7) for i in range(n)]


def test_every_round_starts_with_the_drift_control_and_poisons_before_each_sample() -> None:
    bench = Bench([1.0] * 40, [2.0] * 40)
    bench.rounds()
    assert len(bench.diary) == 7 * 5
    for i in range(0, len(bench.diary), 5):
        drift_control, *rest = bench.diary[i : i + 5]
        assert drift_control == "drift control"
        assert sorted(rest) == ["poison 0", "poison 1", "sample 0", "sample 1"]
        assert rest[0].replace("poison", "sample") == rest[1]


def test_the_order_within_a_round_is_random_and_the_seed_decides_it() -> None:
    diaries = []
    for seed in (1, 1, 2):
        bench = Bench([1.0] * 40, [2.0] * 40, seed=seed)
        bench.rounds()
        diaries.append(bench.diary)
    assert diaries[0] == diaries[1] != diaries[2]
    assert {diaries[0][i] for i in range(1, 35, 5)} == {"poison 0", "poison 1"}


def test_quiet_samples_settle_at_the_least_number() -> None:
    bench = Bench([1.0] * 40)
    assert bench.rounds() == "settled: noise of the medians under 1%"
    assert len(bench.tracks[0].samples) == 7


def test_noisy_samples_go_on_to_the_most() -> None:
    bench = Bench([1.0] * 40, noisy())
    assert bench.rounds() == "30 samples"
    assert [len(track.samples) for track in bench.tracks] == [30, 30]


def test_noisy_samples_stop_when_their_share_of_the_budget_is_used() -> None:
    bench = Bench(noisy())
    assert bench.rounds(share_s=0.0).startswith("budget: its share of it is used; noise of the medians ")
    assert len(bench.tracks[0].samples) == 7


def test_the_deadline_ends_sampling_at_once() -> None:
    bench = Bench(noisy(), left_s=-1.0)
    assert bench.rounds() == "budget: cut short after 1 samples; try --max-time"
    assert len(bench.tracks[0].samples) == 1


def test_a_least_time_is_sampled_even_when_settled() -> None:
    bench = Bench([1.0] * 40, min_time_s=0.01)
    bench.rounds()
    assert len(bench.tracks[0].samples) == 10  # Of 1.1 ms each by the wall clock.


def test_an_exact_number_of_samples_is_taken_whatever_the_noise() -> None:
    bench = Bench(noisy(), min_samples=3, max_samples=3)
    bench.rounds()
    assert len(bench.tracks[0].samples) == 3


def test_warming_up_makes_a_sample_last() -> None:
    bench = Bench([3.0] * 40, sample_s=0.1, warmup_s=0.0)
    bench.sampler.warm_up(bench.tracks[0])
    (track,) = bench.tracks
    assert 0.1 <= track.runs * 3.3e-3 <= 0.12
    assert sum(map(len, track.parts)) == track.runs


def test_a_long_kernel_is_sampled_run_by_run() -> None:
    bench = Bench([500.0] * 40, sample_s=0.1, warmup_s=0.0)
    bench.sampler.warm_up(bench.tracks[0])
    assert bench.tracks[0].runs == 1


def test_warming_up_lasts_as_long_as_asked_for() -> None:
    bench = Bench([100.0] * 40, sample_s=0.1, warmup_s=1.0)
    bench.sampler.warm_up(bench.tracks[0])
    assert len(bench.diary) == 10  # Of 110 ms each by the wall clock.


@pytest.mark.parametrize(("clock", "expected"), [("gpu", 1.0), ("wall", 1.1)])
def test_times_are_those_of_one_run_by_the_clock(clock: str, expected: float) -> None:
    bench = Bench([1.0] * 40)
    bench.tracks[0].runs, bench.tracks[0].parts = 4, [[bench.launch(0)] * 4]
    bench.rounds()
    times = run_ns(bench.tracks[0].samples, Clock(clock, ""))
    assert times == pytest.approx([expected * MS] * 7)


def test_a_least_time_is_kept_beyond_the_most_samples() -> None:
    bench = Bench(noisy(), min_samples=2, max_samples=3, min_time_s=0.008)
    bench.rounds()
    assert sum(timed.wall_ns for timed in bench.tracks[0].samples) >= 8 * MS
    assert len(bench.tracks[0].samples) > 3
