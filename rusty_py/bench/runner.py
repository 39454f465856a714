"""Runs a suite: verifies, warms up, samples in interleaved rounds, verifies again, checks the roofline."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np

from rusty_py.bench import baseline
from rusty_py.bench.run import Baseline, BenchRun, Ceilings, Result, Setup, Skipped, Suite, Verdict
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShaderError
from rusty_py.measure import guard
from rusty_py.measure.case import BenchProblem, Case, Verification, Work
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.sampling import Options, Sampler, Track, run_ns
from rusty_py.measure.stats import summarise
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import run, submissions
from rusty_py.runtime.timing import Timer

Progress = Callable[[str], None]


def measure(
    suite: Suite,
    device: Device,
    options: Options,
    *,
    context: Mapping[str, object],
    progress: Progress,
    peak_gflops: float | None = None,
) -> BenchRun:
    """Runs the suite on the device. After Ctrl-C the result has what was measured so far."""
    bench = Bench(suite, device, options, progress)
    outcome = bench.begin(context, peak_gflops)
    try:
        for problem, cases in groupby(suite.cases(), key=lambda case: case.problem):
            bench.measure_problem(problem, list(cases), outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
    except DeviceError as error:
        outcome.failure = str(error)
    return bench.finish(outcome)


class Bench:
    """The state of one run: the device, its clock and ceilings, and the deadline."""

    def __init__(self, suite: Suite, device: Device, options: Options, progress: Progress) -> None:
        self.suite, self.device, self.options, self.progress = suite, device, options, progress
        self.deadline = time.monotonic() + options.max_time_s
        self.rng = np.random.default_rng(options.seed)
        self.timer = Timer(device)
        self.ceilings = CeilingMeter(device, self.timer, sample_s=options.sample_s)
        self.clock = Clock("wall", "not checked yet")
        self.problems_left = len({case.problem.name for case in suite.cases()})
        self.drift_control_repeats = 1

    def begin(self, context: Mapping[str, object], peak_gflops: float | None) -> BenchRun:
        """Checks the clock and measures the ceilings shared by all problems."""
        self.progress("checking the clock")
        cpu = self.device.adapter.is_cpu
        self.ceilings.fit(5e-3 if cpu else 2e-3)
        self.clock = check_clock(self.timer, self.ceilings.fma_launch, at_least_s=self.options.sample_s)
        self.ceilings.clock = self.clock
        self.progress("measuring ceilings")
        fma_gflops = self.ceilings.fma_gflops()
        launch_ns = self.ceilings.launch_ns()
        drift_control_s = 0.01 if cpu else 0.03
        self.drift_control_repeats = math.ceil(
            drift_control_s * 1e9 * fma_gflops / self.ceilings.fma_launch.flops
        )
        return BenchRun(
            context=context,
            clock="gpu" if self.clock.name == "gpu" else "wall",
            clock_reason=self.clock.reason,
            ceilings=Ceilings(fma_gflops, {}, launch_ns),
            peak_gflops=peak_gflops,
        )

    def measure_problem(self, problem: BenchProblem, cases: list[Case], outcome: BenchRun) -> None:
        """Adds the results of one problem's cases to the outcome."""
        self.progress(f"{problem.name}: inputs")
        if time.monotonic() > self.deadline:
            outcome.skipped += [Skipped(case, "the budget is used up; try --max-time") for case in cases]
            return
        try:
            setup = self.suite.setup(problem, self.device, self.rng)
        except (LimitError, OutOfMemory) as error:
            outcome.skipped += [Skipped(case, str(error)) for case in cases]
            self.problems_left -= 1
            return
        tracks = self._verify_all(setup, cases, outcome)
        if tracks:
            try:
                self._measure_tracks(problem, setup, tracks, outcome)
            except OutOfMemory as error:  # The bandwidth ceilings need two more buffers.
                concluded = [result.case for result in outcome.results]
                left = [track.case for track in tracks if track.case not in concluded]
                outcome.skipped += [Skipped(case, str(error)) for case in left]
        self.problems_left -= 1

    def finish(self, outcome: BenchRun) -> BenchRun:
        """Computes statistics; uses the wall clock for all rows if the timestamps of any sample failed."""
        faults = [s.fault for result in outcome.results for s in result.samples if s.gpu_ns is None]
        if outcome.clock == "gpu" and faults:
            outcome.clock = "wall"
            outcome.clock_reason = f"{faults[0]} in {len(faults)} samples"
            if not outcome.failure:  # A failed device cannot measure.
                self._measure_ceilings_by_wall(outcome)
        clock = Clock(outcome.clock, outcome.clock_reason)
        outcome.results = [with_stats(result, clock) for result in outcome.results]
        return outcome

    def _measure_ceilings_by_wall(self, outcome: BenchRun) -> None:
        """Measures the ceilings again, so that percentages don't mix two clocks."""
        self.progress("measuring ceilings by the wall clock")
        self.ceilings.clock = Clock("wall", outcome.clock_reason)
        figures = Ceilings(
            self.ceilings.fma_gflops(),
            {nbytes: self.ceilings.copy_gbps(nbytes) for nbytes in outcome.ceilings.copy_gbps},
            self.ceilings.launch_ns(),
            {nbytes: self.ceilings.read_gbps(nbytes) for nbytes in outcome.ceilings.read_gbps},
        )
        outcome.ceilings = figures
        for i, result in enumerate(outcome.results):
            if result.roof_gflops is not None:
                roofline = figures.roofline_gflops(result.case.problem)
                outcome.results[i] = replace(result, roof_gflops=roofline)

    def _verify_all(self, setup: Setup, cases: list[Case], outcome: BenchRun) -> list[Track]:
        tracks = []
        for case in cases:
            name = f"{case.problem.name}, {case.variant}"
            try:
                work = setup.work(case)
                case = work.case
                self.progress(f"{name}: estimating")
                reason = self._too_slow(case, self._estimate_s(case, work))
                if reason:
                    outcome.skipped.append(Skipped(case, reason))
                    continue
                self.progress(f"{name}: verifying")
                verification = work.verify()
            except (LimitError, OutOfMemory) as error:
                outcome.skipped.append(Skipped(case, str(error)))
                continue
            except ShaderError as error:
                verification = Verification("compiling", fault=str(error))
            if verification.ok:
                tracks.append(Track(case, work, verification))
            else:
                outcome.results.append(Result(case, "wrong", verification, reason=verification.fault))
        return tracks

    def _estimate_s(self, case: Case, work: Work) -> float:
        """Seconds of one run, estimated from its first submission, run once to compile and once to time."""
        first = next(submissions(self.device, work.launches()))
        run(self.device, first)
        run(self.device, first)
        return case.problem.flops / self.device.throughput.rate(first[0].spec)

    def _too_slow(self, case: Case, run_s: float) -> str:
        # Two verifications and the samples; a short run is repeated within a sample.
        need_s = 2 * run_s + self.options.min_samples * max(run_s, self.options.sample_s)
        left_s = self.deadline - time.monotonic()
        if need_s <= left_s:
            return ""
        return f"needs about {need_s:,.0f} s, {max(left_s, 0):,.0f} s of the budget are left; try --max-time"

    def _measure_tracks(
        self, problem: BenchProblem, setup: Setup, tracks: list[Track], outcome: BenchRun
    ) -> None:
        self.progress(f"{problem.name}: NumPy")
        budget_s = 0.5 if self.device.adapter.is_cpu else 1.0
        samples_ns = baseline.sample_ns(setup.baseline(), budget_s=budget_s)
        outcome.baselines.append(Baseline(problem, samples_ns))
        self.progress(f"{problem.name}: ceilings")
        outcome.ceilings = self._with_bandwidth(outcome.ceilings, problem)
        sampler = Sampler(self.device, self.timer, self.clock, self.options, deadline=self.deadline)

        def drift_control() -> None:
            outcome.anchors_ns.append(self.ceilings.drift_control_ns(self.drift_control_repeats))

        for track in tracks:
            self.progress(f"{problem.name}, {track.case.variant}: warming up")
            sampler.warm_up(track)
        self.progress(f"{problem.name}: sampling")
        share_s = (self.deadline - time.monotonic()) / max(1, self.problems_left)
        stopped = "interrupted"
        try:
            stopped = sampler.rounds(tracks, drift_control=drift_control, share_s=share_s)
        except KeyboardInterrupt:
            outcome.interrupted = True
        self.progress(f"{problem.name}: verifying again")
        for track in tracks:
            if track.samples:
                if outcome.interrupted:  # Possibly after poisoning the output and before writing it.
                    sampler.sample(track)
                outcome.results.append(self._conclude(track, stopped, outcome))
        if outcome.interrupted:
            raise KeyboardInterrupt

    def _with_bandwidth(self, figures: Ceilings, problem: BenchProblem) -> Ceilings:
        """`figures` with the bandwidth for the problem's working set, measured now."""
        nbytes = problem.bytes
        return replace(
            figures,
            copy_gbps={**figures.copy_gbps, nbytes: self.ceilings.copy_gbps(nbytes)},
            read_gbps={**figures.read_gbps, nbytes: self.ceilings.read_gbps(nbytes)},
        )

    def _conclude(self, track: Track, stopped: str, outcome: BenchRun) -> Result:
        """Verifies the output after timing and checks the rate against the roofline."""
        problem = track.case.problem
        verification = track.work.recheck()
        if not verification.ok:
            return Result(track.case, "wrong", verification, tuple(track.samples), reason=verification.fault)

        def again() -> tuple[float, float]:
            figures = replace(outcome.ceilings, fma_gflops=self.ceilings.fma_gflops())
            figures = self._with_bandwidth(figures, problem)
            sample = self.timer.sample(track.parts)
            rate = problem.flops * track.runs / self.clock.ns(sample)
            return rate, figures.roofline_gflops(problem)

        gflops = problem.flops / summarise(run_ns(track.samples, self.clock)).median
        roofline = outcome.ceilings.roofline_gflops(problem)
        reason, roofline = guard.rejection(gflops, roofline, again=again)
        verdict: Verdict = "rejected" if reason else "ok"
        return Result(
            track.case,
            verdict,
            track.verification,
            tuple(track.samples),
            roof_gflops=roofline,
            stopped=stopped,
            reason=reason,
        )


def with_stats(result: Result, clock: Clock) -> Result:
    """The result with statistics and rate by `clock`; unchanged if it is wrong or rejected."""
    if result.verdict != "ok" or not result.samples:
        return result
    stats = summarise(run_ns(result.samples, clock))
    return replace(result, stats=stats, gflops=result.case.problem.flops / stats.median)
