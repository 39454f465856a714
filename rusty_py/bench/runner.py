"""Proves, warms up, samples in random rounds, proves again, and guards: cases in, a `Run` out."""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from rusty_py.adapter import Adapter
from rusty_py.bench import baseline, guard
from rusty_py.bench.case import (
    Baseline,
    Case,
    Problem,
    Proof,
    Result,
    Run,
    Setup,
    Skipped,
    Suite,
    Timed,
    Verdict,
    Work,
)
from rusty_py.bench.case import Ceilings as CeilingFigures
from rusty_py.bench.ceilings import Ceilings
from rusty_py.bench.stats import summarise
from rusty_py.device import Device
from rusty_py.errors import LimitError, OutOfMemory
from rusty_py.kernel import Launch, run, submissions
from rusty_py.timing import Clock, Sample, Timer, check_clock

Say = Callable[[str], None]

_SETTLED = 0.01  # Noise of the median, as a fraction, at which more samples change little.


@dataclass(frozen=True)
class Options:
    """How long to measure. Times in seconds; `max_time_s` is for the whole run."""

    sample_s: float
    warmup_s: float
    min_samples: int
    max_samples: int
    min_time_s: float
    max_time_s: float
    seed: int

    @classmethod
    def for_adapter(
        cls,
        adapter: Adapter,
        *,
        warmup_s: float | None = None,
        runs: int | None = None,
        min_time_s: float | None = None,
        max_time_s: float | None = None,
        seed: int | None = None,
    ) -> "Options":
        """A GPU needs 100 ms of work to leave its idle clocks; a CPU driver has none, and is slow.

        `runs` is the exact number of samples of a row.
        """
        sample_s = 0.02 if adapter.is_cpu else 0.1
        return cls(
            sample_s=sample_s,
            warmup_s=sample_s if warmup_s is None else warmup_s,
            min_samples=runs or (5 if adapter.is_cpu else 7),
            max_samples=runs or 30,
            min_time_s=0.0 if min_time_s is None or runs else min_time_s,
            max_time_s=60.0 if max_time_s is None else max_time_s,
            seed=random.SystemRandom().getrandbits(32) if seed is None else seed,
        )


@dataclass
class Track:
    """A case while it is measured."""

    case: Case
    work: Work
    proof: Proof
    parts: list[list[Launch]] = field(default_factory=list)
    runs: int = 1
    samples: list[Timed] = field(default_factory=list)

    def run_ns(self, clock: Clock) -> list[float]:
        return [clock.ns(Sample(timed.wall_ns, timed.gpu_ns)) / timed.runs for timed in self.samples]


def measure(
    suite: Suite,
    device: Device,
    options: Options,
    *,
    context: Mapping[str, object],
    say: Say,
    peak_gflops: float | None = None,
) -> Run:
    """Runs the suite on the device. Ctrl-C ends it early; what was measured is in the result."""
    bench = Bench(suite, device, options, say)
    outcome = bench.begin(context, peak_gflops)
    try:
        for problem, cases in groupby(suite.cases(), key=lambda case: case.problem):
            bench.measure_problem(problem, list(cases), outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return bench.finish(outcome)


class Bench:
    """One run of the benchmark: the device, its clock and ceilings, and the time left."""

    def __init__(self, suite: Suite, device: Device, options: Options, say: Say) -> None:
        self.suite, self.device, self.options, self.say = suite, device, options, say
        self.deadline = time.monotonic() + options.max_time_s
        self.rng = np.random.default_rng(options.seed)
        self.shuffle = random.Random(options.seed)
        self.timer = Timer(device)
        self.ceilings = Ceilings(device, self.timer, sample_s=options.sample_s)
        self.clock = Clock("wall", "not checked yet")
        self.problems_left = len({case.problem.name for case in suite.cases()})
        self.anchor_repeats = 1

    def begin(self, context: Mapping[str, object], peak_gflops: float | None) -> Run:
        """Checks the clock and measures the ceilings that hold for all problems."""
        self.say("checking the clock")
        cpu = self.device.adapter.is_cpu
        self.ceilings.fit(5e-3 if cpu else 2e-3)
        self.clock = check_clock(self.timer, self.ceilings.fma_launch, at_least_s=self.options.sample_s)
        self.ceilings.clock = self.clock
        self.say("measuring ceilings")
        fma_gflops = self.ceilings.fma_gflops()
        launch_ns = self.ceilings.launch_ns()
        anchor_s = 0.01 if cpu else 0.03
        self.anchor_repeats = math.ceil(anchor_s * 1e9 * fma_gflops / self.ceilings.fma_launch.flops)
        return Run(
            context=context,
            clock="gpu" if self.clock.name == "gpu" else "wall",
            clock_reason=self.clock.reason,
            ceilings=CeilingFigures(fma_gflops, {}, launch_ns),
            peak_gflops=peak_gflops,
        )

    def measure_problem(self, problem: Problem, cases: list[Case], outcome: Run) -> None:
        """Adds the results of one problem's cases to the outcome."""
        self.say(f"{problem.name}: inputs and reference")
        if time.monotonic() > self.deadline:
            outcome.skipped += [Skipped(case, "the budget is used up; try --max-time") for case in cases]
            return
        try:
            setup = self.suite.setup(problem, self.device, self.rng)
        except (LimitError, OutOfMemory) as error:
            outcome.skipped += [Skipped(case, str(error)) for case in cases]
            self.problems_left -= 1
            return
        tracks = self._prove_all(setup, cases, outcome)
        if tracks:
            self._measure_tracks(problem, setup, tracks, outcome)
        self.problems_left -= 1

    def finish(self, outcome: Run) -> Run:
        """Falls back to the wall clock for all rows where one sample's timestamps failed."""
        faults = [s.fault for result in outcome.results for s in result.samples if s.gpu_ns is None]
        if outcome.clock == "gpu" and faults:
            outcome.clock = "wall"
            outcome.clock_reason = f"{faults[0]} in {len(faults)} samples"
        clock = Clock(outcome.clock, outcome.clock_reason)
        outcome.results = [with_stats(result, clock) for result in outcome.results]
        return outcome

    def _prove_all(self, setup: Setup, cases: list[Case], outcome: Run) -> list[Track]:
        tracks = []
        for case in cases:
            name = f"{case.problem.name}, {case.variant}"
            try:
                work = setup.work(case)
                self.say(f"{name}: estimating")
                reason = self._too_slow(case, self._estimate_s(case, work))
                if reason:
                    outcome.skipped.append(Skipped(case, reason))
                    continue
                self.say(f"{name}: proving")
                proof = work.prove()
            except (LimitError, OutOfMemory) as error:
                outcome.skipped.append(Skipped(case, str(error)))
                continue
            if proof.ok:
                tracks.append(Track(case, work, proof))
            else:
                outcome.results.append(Result(case, "wrong", proof, reason=proof.fault))
        return tracks

    def _estimate_s(self, case: Case, work: Work) -> float:
        """Seconds of one run, from its first submission: once to compile it, once to see its pace."""
        first = next(submissions(self.device, work.launches()))
        run(self.device, first)
        run(self.device, first)
        return case.problem.flops / self.device.pace.rate(first[0].spec)

    def _too_slow(self, case: Case, run_s: float) -> str:
        # Two proofs and the samples; a short run is repeated within a sample.
        need_s = 2 * run_s + self.options.min_samples * max(run_s, self.options.sample_s)
        left_s = self.deadline - time.monotonic()
        if need_s <= left_s:
            return ""
        return f"needs about {need_s:,.0f} s, {max(left_s, 0):,.0f} s of the budget are left; try --max-time"

    def _measure_tracks(self, problem: Problem, setup: Setup, tracks: list[Track], outcome: Run) -> None:
        self.say(f"{problem.name}: NumPy")
        budget_s = 0.5 if self.device.adapter.is_cpu else 1.0
        samples_ns = baseline.sample_ns(setup.baseline(), budget_s=budget_s)
        outcome.baselines.append(Baseline(problem, samples_ns))
        self.say(f"{problem.name}: ceilings")
        copy_gbps = self.ceilings.copy_gbps(problem.bytes)
        figures = outcome.ceilings
        outcome.ceilings = replace(figures, copy_gbps={**figures.copy_gbps, problem.bytes: copy_gbps})
        for track in tracks:
            self.say(f"{problem.name}, {track.case.variant}: warming up")
            self._warm_up(track)
        stopped = "interrupted"
        try:
            stopped = self._rounds(problem, tracks, outcome)
        except KeyboardInterrupt:
            outcome.interrupted = True
        self.say(f"{problem.name}: proving again")
        for track in tracks:
            if track.samples:
                outcome.results.append(self._conclude(track, stopped, outcome))
        if outcome.interrupted:
            raise KeyboardInterrupt

    def _warm_up(self, track: Track) -> None:
        """Runs the case until the clocks are up and its pace is known, and sizes its samples."""
        flops = track.case.problem.flops
        spent_s = 0.0
        while True:
            launches = track.work.launches()
            track.parts = list(submissions(self.device, launches * track.runs))
            sample = self.timer.sample(track.parts)
            seconds = sample.wall_ns / 1e9
            self.device.pace.observe(launches[0].spec, flops=flops * track.runs, seconds=seconds)
            spent_s += seconds
            wanted = math.ceil(self.options.sample_s * track.runs / seconds)
            if wanted <= track.runs * 1.2 and spent_s >= self.options.warmup_s:
                break
            track.runs = max(1, min(wanted, 8 * track.runs))
        track.parts = list(submissions(self.device, track.work.launches() * track.runs))

    def _rounds(self, problem: Problem, tracks: list[Track], outcome: Run) -> str:
        """Samples all tracks once a round, in random order; returns why it stopped."""
        start = time.monotonic()
        share_s = (self.deadline - start) / max(1, self.problems_left)
        for index in range(self.options.max_samples):
            self.say(f"{problem.name}: round {index + 1}")
            outcome.anchors_ns.append(self.ceilings.anchor_ns(self.anchor_repeats))
            for track in self.shuffle.sample(tracks, len(tracks)):
                sample = self.timer.sample(track.parts)
                track.samples.append(Timed(index, track.runs, sample.wall_ns, sample.gpu_ns, sample.fault))
            stopped = self._stop_reason(tracks, spent_s=time.monotonic() - start, share_s=share_s)
            if stopped:
                return stopped
        return f"{self.options.max_samples} samples"

    def _stop_reason(self, tracks: list[Track], *, spent_s: float, share_s: float) -> str:
        taken = len(tracks[0].samples)
        if time.monotonic() > self.deadline:
            return f"budget: cut short after {taken} samples; try --max-time"
        if taken < self.options.min_samples:
            return ""
        least_s = min(sum(timed.wall_ns for timed in track.samples) for track in tracks) / 1e9
        if least_s < self.options.min_time_s:
            return ""
        noise = max(summarise(track.run_ns(self.clock)).noise for track in tracks)
        if noise < _SETTLED:
            return f"settled: noise of the medians under {_SETTLED:.0%}"
        if spent_s * (1 + 1 / taken) > share_s:
            return f"budget: its share of it is used; noise of the medians {noise:.1%}"
        return ""

    def _conclude(self, track: Track, stopped: str, outcome: Run) -> Result:
        """Checks the timed output again and holds the rate against the roof."""
        problem = track.case.problem
        proof = track.work.recheck()
        if not proof.ok:
            return Result(track.case, "wrong", proof, tuple(track.samples), reason=proof.fault)
        roof = self._roof(problem, outcome.ceilings.fma_gflops, outcome.ceilings.copy_gbps[problem.bytes])

        def again() -> tuple[float, float]:
            fma_gflops, copy_gbps = self.ceilings.fma_gflops(), self.ceilings.copy_gbps(problem.bytes)
            sample = self.timer.sample(track.parts)
            rate = problem.flops * track.runs / self.clock.ns(sample)
            return rate, self._roof(problem, fma_gflops, copy_gbps)

        gflops = problem.flops / summarise(track.run_ns(self.clock)).median
        reason, roof = guard.rejection(gflops, roof, again=again)
        verdict: Verdict = "rejected" if reason else "ok"
        return Result(
            track.case,
            verdict,
            track.proof,
            tuple(track.samples),
            roof_gflops=roof,
            stopped=stopped,
            reason=reason,
        )

    def _roof(self, problem: Problem, fma_gflops: float, copy_gbps: float) -> float:
        return guard.roof_gflops(
            fma_gflops=fma_gflops, copy_gbps=copy_gbps, flops=problem.flops, nbytes=problem.bytes
        )


def with_stats(result: Result, clock: Clock) -> Result:
    """The result with its statistics and rate by `clock`; a wrong or rejected one gets none."""
    if result.verdict != "ok" or not result.samples:
        return result
    times_ns = [clock.ns(Sample(timed.wall_ns, timed.gpu_ns)) / timed.runs for timed in result.samples]
    stats = summarise(times_ns)
    return replace(result, stats=stats, gflops=result.case.problem.flops / stats.median)
