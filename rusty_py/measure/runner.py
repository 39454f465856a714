"""Runs a command: verifies, warms up, samples in interleaved rounds, verifies again, checks the roofline."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShaderError
from rusty_py.measure import guard
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.document import (
    BenchProblem,
    BenchRun,
    Ceilings,
    ClockName,
    Result,
    Row,
    Verdict,
    Verification,
    skipped_row,
)
from rusty_py.measure.figures import ROOFLINE, with_figures
from rusty_py.measure.sampling import KernelTrack, Options, Sampler, Track
from rusty_py.measure.stats import summarise
from rusty_py.runtime.device import Device
from rusty_py.runtime.timing import Timer

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """A row to be measured: `tracks` in the same rounds, `references` before them, apart from each other.

    Host code with threads of its own belongs to the references: threads that still spin would slow down
    what is sampled next on a CPU driver. `unmeasured` are results without a measurement.
    """

    problem: BenchProblem
    tracks: Sequence[Track]
    references: Sequence[Track] = ()
    unmeasured: Sequence[Result] = ()
    reference: str = ""
    seed: str = ""


@dataclass(frozen=True)
class Schedule:
    """Comparisons that are sampled together, created just before; `problem` is theirs, or names them all.

    `by` are the implementations, for rows that are skipped. `weight` is its relative share of the time.
    """

    problem: BenchProblem
    comparisons: Callable[[], Sequence[Comparison]]
    by: Sequence[str] = ("ours",)
    weight: float = 1.0


class KernelMeter:
    """The clock, the ceilings and the drift control of a device, for runs that measure kernels."""

    def __init__(self, device: Device, options: Options) -> None:
        self.device, self.options = device, options
        self.timer = Timer(device)
        self.ceilings = CeilingMeter(device, self.timer, sample_s=options.sample_s)
        self.clock = Clock("wall", "not checked yet")
        self.measured = Ceilings(0.0, {}, 0.0)
        self._drift_control_repeats = 1

    @property
    def clock_name(self) -> ClockName:
        return "gpu" if self.clock.name == "gpu" else "wall"

    def begin(self, progress: Progress) -> None:
        """Checks the clock and measures the ceilings shared by all problems."""
        progress("checking the clock")
        cpu = self.device.adapter.is_cpu
        self.ceilings.fit(5e-3 if cpu else 2e-3)
        self.clock = check_clock(self.timer, self.ceilings.fma_launch, at_least_s=self.options.sample_s)
        self.ceilings.clock = self.clock
        progress("measuring ceilings")
        self.measured = Ceilings(self.ceilings.fma_gflops(), {}, self.ceilings.launch_ns())
        drift_control_s = 0.01 if cpu else 0.03
        self._drift_control_repeats = math.ceil(
            drift_control_s * 1e9 * self.measured.fma_gflops / self.ceilings.fma_launch.flops
        )

    def drift_control_ns(self) -> float:
        """One sample of the drift control."""
        return self.ceilings.drift_control_ns(self._drift_control_repeats)

    def measure_bandwidth(self, problem: BenchProblem) -> None:
        """Measures the bandwidth for the problem's working set, unless it is known."""
        if problem.nbytes in self.measured.copy_gbps:
            return
        self.measured = self._with_bandwidth(self.measured, problem)

    def _with_bandwidth(self, ceilings: Ceilings, problem: BenchProblem) -> Ceilings:
        nbytes = problem.nbytes
        return replace(
            ceilings,
            copy_gbps={**ceilings.copy_gbps, nbytes: self.ceilings.copy_gbps(nbytes)},
            read_gbps={**ceilings.read_gbps, nbytes: self.ceilings.read_gbps(nbytes)},
        )

    def rejection(self, track: KernelTrack, problem: BenchProblem) -> str:
        """Why the track's time is implausible; "" if it isn't. Sets its roofline.

        The arithmetic is that of the track's work, which may have less than the problem's formula.
        """
        problem = replace(problem, flops=track.made.problem.flops)

        def again() -> tuple[float, float]:
            ceilings = replace(self.measured, fma_gflops=self.ceilings.fma_gflops())
            ceilings = self._with_bandwidth(ceilings, problem)
            return track.sample().ns(track.clock) / track.runs, ceilings.minimum_ns(problem)

        ns = summarise(track.samples_ns()).median
        reason, track.roofline_ns = guard.rejection(ns, self.measured.minimum_ns(problem), again=again)
        return reason

    def by_wall(self, reason: str) -> None:
        """Measures the ceilings again by the wall clock, so that percentages don't mix two clocks."""
        self.clock = self.ceilings.clock = Clock("wall", reason)
        self.measured = Ceilings(
            self.ceilings.fma_gflops(),
            {nbytes: self.ceilings.copy_gbps(nbytes) for nbytes in self.measured.copy_gbps},
            self.ceilings.launch_ns(),
            {nbytes: self.ceilings.read_gbps(nbytes) for nbytes in self.measured.read_gbps},
        )


class Runner:
    """Measures schedules in order and adds their rows to a run. With `meter` kernels can be measured."""

    def __init__(
        self,
        options: Options,
        progress: Progress,
        *,
        meter: KernelMeter | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options, self.progress, self.meter, self.now = options, progress, meter, now
        self.deadline = now() + options.max_time_s
        self.sampler = Sampler(options, deadline=self.deadline, now=now)

    def measure(self, schedules: Sequence[Schedule], run: BenchRun) -> BenchRun:
        """Measures all schedules; the run also records Ctrl-C and failures of the device.

        Both are raised before the first schedule, while the clock is checked: there is no run yet.
        """
        if self.meter:
            self.meter.begin(self.progress)
        try:
            for i, schedule in enumerate(schedules):
                share = schedule.weight / sum(each.weight for each in schedules[i:])
                self._measure_schedule(schedule, share, run)
        except KeyboardInterrupt:
            run.interrupted = True
        except DeviceError as error:
            run.failure = str(error)
        return self._finish(run)

    def _measure_schedule(self, schedule: Schedule, share: float, run: BenchRun) -> None:
        left_s = self.deadline - self.now()
        name = schedule.problem.name
        if left_s <= 0:
            run.rows.append(
                self._without_result(schedule, "skipped", "the budget is used up; try --max-time")
            )
            return
        self.progress(f"{name}: preparing")
        begun = self.now()
        comparisons: Sequence[Comparison] = ()
        measured: list[Track] = []
        try:
            comparisons = schedule.comparisons()
            tracks = [
                (comparison, track) for comparison in comparisons for track in self._admitted(comparison)
            ]
            measured = [track for _, track in tracks]
            self._sample_references(comparisons)
            left_s -= self.now() - begun
            stopped = self._sample(name, comparisons, measured, share * left_s, run) if measured else ""
            self.progress(f"{name}: verifying again")
            for comparison, track in tracks:
                self._conclude(track, comparison.problem, interrupted=run.interrupted)
        except (LimitError, OutOfMemory, ShaderError) as error:
            for track in measured:
                if track.verdict == "ok":
                    track.verdict, track.reason = "skipped", str(error)
            if not comparisons:
                verdict: Verdict = "wrong" if isinstance(error, ShaderError) else "skipped"
                run.rows.append(self._without_result(schedule, verdict, str(error)))
            stopped = ""
        run.rows += [_row(comparison, stopped) for comparison in comparisons]
        if run.interrupted:
            raise KeyboardInterrupt

    def _without_result(self, schedule: Schedule, verdict: Verdict, reason: str) -> Row:
        clock: ClockName = self.meter.clock_name if self.meter else "wall"
        row = skipped_row(schedule.problem, reason, by=schedule.by, clock=clock)
        return replace(row, results=tuple(replace(each, verdict=verdict) for each in row.results))

    def _admitted(self, comparison: Comparison) -> list[Track]:
        """The tracks that fit the device and the budget and are verified."""
        return [track for track in comparison.tracks if self._admit(track, comparison.problem)]

    def _admit(self, track: Track, problem: BenchProblem) -> bool:
        name = f"{problem.name}, {track.by}"
        try:
            self.progress(f"{name}: estimating")
            track.prepare()
            too_slow = self._too_slow(track.run_s())
            if too_slow:
                track.verdict, track.reason = "skipped", too_slow
                return False
            self.progress(f"{name}: verifying")
            track.verification = track.verify()
        except (LimitError, OutOfMemory) as error:
            track.verdict, track.reason = "skipped", str(error)
            return False
        except ShaderError as error:
            track.verification = _not_compiled(error)
        if not track.verification.ok:
            track.verdict, track.reason = "wrong", track.verification.fault
        return track.verdict == "ok"

    def _too_slow(self, run_s: float) -> str:
        if not run_s:
            return ""
        # Two verifications and the samples; a short run is repeated within a sample.
        need_s = 2 * run_s + self.options.min_samples * max(run_s, self.options.sample_s)
        left_s = self.deadline - self.now()
        if need_s <= left_s:
            return ""
        need, left = (f"{s:,.0f}" if s >= 10 else f"{s:.2g}" for s in (need_s, max(left_s, 0.0)))
        return f"needs about {need} s, {left} s of the budget are left; try --max-time"

    def _sample(
        self,
        name: str,
        comparisons: Sequence[Comparison],
        tracks: Sequence[Track],
        share_s: float,
        run: BenchRun,
    ) -> str:
        """Samples all tracks in rounds; returns why it stopped."""
        start = self.now()
        for comparison in comparisons:
            if self.meter and any(isinstance(track, KernelTrack) for track in comparison.tracks):
                self.progress(f"{name}: ceilings")
                self.meter.measure_bandwidth(comparison.problem)

        def drift_control() -> None:
            if self.meter:
                run.drift_control_ns.append(self.meter.drift_control_ns())

        for track in tracks:
            self.progress(f"{name}, {track.by}: warming up")
            track.warm_up(self.options, self.deadline)
        self.progress(f"{name}: sampling")
        left_s = share_s - (self.now() - start)
        try:
            return self.sampler.rounds(tracks, share_s=left_s, drift_control=drift_control)
        except KeyboardInterrupt:
            run.interrupted = True
            return "interrupted"

    def _sample_references(self, comparisons: Sequence[Comparison]) -> None:
        """Samples the references of each row, unless all its tracks were skipped."""
        for comparison in comparisons:
            if any(track.verdict != "skipped" for track in comparison.tracks):
                for reference in comparison.references:
                    self._sample_reference(reference, comparison.problem)

    def _sample_reference(self, track: Track, problem: BenchProblem) -> None:
        """Verifies and samples a reference within a budget of its own: it may take seconds a run."""
        self.progress(f"{problem.name}: {track.by}")
        if not self._admit(track, problem):
            return
        budget_s = 5 * self.options.sample_s + 0.1
        options = replace(self.options, min_time_s=0.0)
        start = self.now()
        sampler = Sampler(options, deadline=min(start + budget_s, self.deadline), now=self.now)
        track.warm_up(options, sampler.deadline)
        sampler.rounds([track], share_s=budget_s - (self.now() - start))
        self._conclude(track, problem, interrupted=False)

    def _conclude(self, track: Track, problem: BenchProblem, *, interrupted: bool) -> None:
        """Verifies the output after timing and checks the time against the roofline."""
        if not track.timed:
            track.verdict, track.reason = "skipped", "interrupted"
            return
        try:
            if interrupted:  # Possibly after poisoning the output and before writing it.
                track.sample()
            verification = track.recheck()
            if not verification.ok:
                track.verification, track.verdict, track.reason = verification, "wrong", verification.fault
            elif self.meter and isinstance(track, KernelTrack):
                track.reason = self.meter.rejection(track, problem)
                track.verdict = "rejected" if track.reason else "ok"
        except ShaderError as error:
            track.verification, track.verdict, track.reason = _not_compiled(error), "wrong", str(error)
        except (LimitError, OutOfMemory) as error:  # The ceilings need two more buffers.
            track.verdict, track.reason = "skipped", str(error)

    def _finish(self, run: BenchRun) -> BenchRun:
        """Computes statistics; uses the wall clock for all kernels if the timestamps of any sample failed."""
        meter = self.meter
        if meter is None:
            return finished(run)
        faults = [
            fault
            for _, result in run.results()
            if result.clock == "gpu"
            for fault in result.samples.faults
            if fault
        ]
        if faults:
            reason = f"{faults[0]} in {len(faults)} samples"
            self._measure_by_wall(meter, reason, run)
            run.rows = [_by_wall(row, meter.measured) for row in run.rows]
        run.clock, run.clock_reason, run.ceilings = meter.clock_name, meter.clock.reason, meter.measured
        return finished(run)

    def _measure_by_wall(self, meter: KernelMeter, reason: str, run: BenchRun) -> None:
        """Measures the ceilings by the wall clock, unless the run ended early; nothing measured is lost."""
        meter.clock = Clock("wall", reason)
        if run.failure or run.interrupted:
            return
        self.progress("measuring ceilings by the wall clock")
        try:
            meter.by_wall(reason)
        except KeyboardInterrupt:
            run.interrupted = True
        except DeviceError as error:
            run.failure = str(error)
        except (LimitError, OutOfMemory):
            pass


def _not_compiled(error: ShaderError) -> Verification:
    return Verification("compiling", fault=str(error))


def finished(run: BenchRun) -> BenchRun:
    """The run with statistics and figures of every correct result."""
    run.rows = [replace(row, results=tuple(map(_with_stats, row.results))) for row in run.rows]
    return with_figures(run)


def _with_stats(result: Result) -> Result:
    if result.verdict != "ok" or not len(result.samples):
        return result
    return replace(result, stats=summarise(result.samples_ns))


def _by_wall(row: Row, ceilings: Ceilings) -> Row:
    """The row with all kernels by the wall clock, and the roofline that was measured by it."""

    def changed(result: Result) -> Result:
        figures = tuple(
            replace(each, value=ceilings.minimum_ns(row.problem)) if each.name == ROOFLINE else each
            for each in result.figures
        )
        return replace(result, clock="wall", figures=figures) if result.clock == "gpu" else result

    return replace(row, results=tuple(map(changed, row.results)))


def _row(comparison: Comparison, stopped: str) -> Row:
    # Where all tracks were skipped, references are not sampled.
    sampled = [each for each in comparison.references if each.timed or each.verdict != "ok"]
    tracks = [*comparison.tracks, *sampled]
    return Row(
        comparison.problem,
        (*(track.result() for track in tracks), *comparison.unmeasured),
        comparison.reference,
        stopped,
        comparison.seed,
    )
