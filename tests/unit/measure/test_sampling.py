"""When sampling stops, and in what order it goes; a script plays device and timer."""

import time
from types import SimpleNamespace

import pytest

from rusty_py.measure.document import ClockName
from rusty_py.measure.sampling import KernelTrack, Options, Sampler
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Launch, Spec
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.timing import TimedSample

MS = 1e6  # In nanoseconds.
SPEC = Spec("scripted", inputs=0, outputs=1, threads=1)


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
        self.tracks = [self.track(i) for i in range(len(times_ms))]
        options = vars(Options.for_adapter(adapter(is_cpu=False), seed=1)) | changes
        self.options, self.deadline = Options(**options), time.monotonic() + left_s
        self.sampler = Sampler(self.options, deadline=self.deadline)

    def track(self, i: int) -> KernelTrack:
        device = SimpleNamespace(throughput=Throughput("CPU"), wait=lambda: None)
        timer = SimpleNamespace(sample=self.sample)
        track = KernelTrack(f"kernel {i}", lambda: self.work(i), device, timer, "gpu")  # type: ignore[arg-type]
        track.prepare()
        track.parts = [[self.launch(i)]]
        return track

    def work(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(
            poison=lambda: self.diary.append(f"poison {i}"),
            launches=lambda: [self.launch(i)],
            kernel=f"scripted {i}",
            sha256="",
            plan=f"plan {i}",
        )

    def launch(self, i: int) -> Launch:
        return Launch(SPEC, EncodedDispatch(i, None, 0, None, 1, 1, 1), buffers=(), flops=1)

    def sample(self, parts: list[list[Launch]]) -> TimedSample:
        runs, i = sum(map(len, parts)), parts[0][0].encoded.pipeline
        self.diary.append(f"sample {i}")
        ns = runs * MS * next(self.times[i])
        return TimedSample(1.1 * ns, ns)

    def warm_up(self) -> KernelTrack:
        """The only track, warmed up."""
        (track,) = self.tracks
        track.warm_up(self.options, self.deadline)
        return track

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


def test_quiet_samples_settle_at_the_minimum_number() -> None:
    bench = Bench([1.0] * 40)
    assert bench.rounds() == "settled: noise of the medians under 1%"
    assert len(bench.tracks[0].timed) == 7


def test_noisy_samples_go_on_to_the_maximum() -> None:
    bench = Bench([1.0] * 40, noisy())
    assert bench.rounds() == "30 samples"
    assert [len(track.timed) for track in bench.tracks] == [30, 30]


def test_noisy_samples_stop_when_their_share_of_the_budget_is_used() -> None:
    bench = Bench(noisy())
    assert bench.rounds(share_s=0.0).startswith("budget: its share of it is used; noise of the medians ")
    assert len(bench.tracks[0].timed) == 7


def test_the_deadline_ends_sampling_at_once() -> None:
    bench = Bench(noisy(), left_s=-1.0)
    assert bench.rounds() == "budget: cut short after 1 samples; try --max-time"
    assert len(bench.tracks[0].timed) == 1


def test_a_minimum_time_is_sampled_even_when_settled() -> None:
    bench = Bench([1.0] * 40, min_time_s=0.01)
    bench.rounds()
    assert len(bench.tracks[0].timed) == 10  # Of 1 ms each by the GPU's clock.


def test_an_exact_number_of_samples_is_taken_whatever_the_noise() -> None:
    bench = Bench(noisy(), min_samples=3, max_samples=3)
    bench.rounds()
    assert len(bench.tracks[0].timed) == 3


def test_warming_up_makes_a_sample_last() -> None:
    bench = Bench([3.0] * 40, sample_s=0.1, warmup_s=0.0)
    track = bench.warm_up()
    assert 0.1 <= track.runs * 3.3e-3 <= 0.12
    assert sum(map(len, track.parts)) == track.runs


def test_a_long_kernel_is_sampled_run_by_run() -> None:
    bench = Bench([500.0] * 40, sample_s=0.1, warmup_s=0.0)
    assert bench.warm_up().runs == 1


def test_warming_up_lasts_as_long_as_asked_for() -> None:
    bench = Bench([100.0] * 40, sample_s=0.1, warmup_s=1.0)
    bench.warm_up()
    assert len(bench.diary) == 10  # Of 110 ms each by the wall clock.


@pytest.mark.parametrize(("clock", "expected"), [("gpu", 1.0), ("wall", 1.1)])
def test_times_are_those_of_one_run_by_the_clock(clock: ClockName, expected: float) -> None:
    bench = Bench([1.0] * 40)
    bench.tracks[0].runs, bench.tracks[0].parts = 4, [[bench.launch(0)] * 4]
    bench.rounds()
    bench.tracks[0].clock = clock
    assert bench.tracks[0].samples_ns() == pytest.approx([expected * MS] * 7)
    assert bench.tracks[0].samples().ns(clock) == bench.tracks[0].samples_ns()


def test_a_minimum_time_is_kept_beyond_the_maximum_number_of_samples() -> None:
    bench = Bench(noisy(), min_samples=2, max_samples=3, min_time_s=0.008)
    bench.rounds()
    assert sum(bench.tracks[0].samples_ns()) >= 8 * MS
    assert len(bench.tracks[0].timed) > 3


def test_a_result_names_the_kernels_and_the_plan_of_the_work() -> None:
    bench = Bench([1.0] * 40)
    bench.rounds()
    result = bench.tracks[0].result()
    assert (result.by, result.kernel, result.plan, result.scope) == (
        "kernel 0",
        "scripted 0",
        "plan 0",
        "kernel",
    )
    assert result.samples.rounds == tuple(range(7))


def test_samples_that_are_forgotten_do_not_count() -> None:
    bench = Bench([9.0] * 7 + [1.0] * 40)
    bench.rounds()
    bench.tracks[0].forget()
    bench.rounds()
    assert bench.tracks[0].samples_ns() == [MS] * 7
