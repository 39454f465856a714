"""Interleaved sampling for `overhead` and `transfer`.

Verifies every implementation, samples them in random order in each round, and verifies them again.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from rusty_py.bench.results import Clock, Figure, ResultRow, Results, Verdict, measured, skipped_row
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShaderError
from rusty_py.measure.stats import summarise
from rusty_py.runtime.device import Device

Progress = Callable[[str], None]
Verify = Callable[[Callable[[], None]], str]
"""Sets fresh inputs, calls its argument, and compares; returns the fault, or ""."""


class Measure(Protocol):
    """The measuring function of a command."""

    def __call__(
        self,
        device: Device,
        options: "InterleavedOptions",
        *,
        context: Mapping[str, object],
        progress: Progress,
    ) -> Results: ...


CLOCKS: Mapping[Clock, Callable[[], int]] = {"cpu": time.thread_time_ns, "wall": time.perf_counter_ns}

_SETTLED = 0.01  # Noise of every median, as a fraction, at which more samples change little.
_WALL_SAMPLES = 4  # A sample by CPU time grows no further once it lasts this many by the wall clock.


def nothing() -> None:
    """The default for `Implementation.after`: does nothing."""


@dataclass(frozen=True)
class Implementation:
    """One implementation of a row. `run(n)` runs it n times; `after` waits for it, untimed.

    A sample is taken inside `around`, with a multiple of `step` runs, at most `limit`. `sampled` returns
    counts of the last sample, per run; the result has those of the median sample.
    """

    by: str
    run: Callable[[int], None]
    verify: Verify
    after: Callable[[], None] = nothing
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    step: int = 1
    limit: int = 1 << 20
    counts: Callable[[], Mapping[str, float]] = dict
    sampled: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True)
class Comparison:
    """A row to be measured. `proof` is the verification method; `skipped` are unmeasured results."""

    what: str
    clock: Clock
    proof: str
    implementations: Sequence[Implementation]
    skipped: Sequence[Figure] = ()
    nbytes: int | None = None
    seed: str = ""


@dataclass(frozen=True)
class InterleavedOptions:
    """How long to measure: at least `sample_s` per sample, at most `max_time_s` for the whole command."""

    sample_s: float
    min_samples: int
    max_samples: int
    max_time_s: float
    seed: int


@dataclass(frozen=True)
class Schedule:
    """Comparisons that are sampled together, created just before. `name` is used in messages.

    `weight` is its relative share of the remaining time.
    """

    name: str
    comparisons: Callable[[], Sequence[Comparison]]
    weight: float = 1.0


@dataclass
class ImplementationTrack:
    """An implementation being measured."""

    comparison: Comparison
    implementation: Implementation
    runs: int = 1
    samples_ns: list[float] = field(default_factory=list)
    sampled: list[Mapping[str, float]] = field(default_factory=list)
    fault: str = ""
    verdict: Verdict = "ok"


class InterleavedSampler:
    """Measures schedules in order. `clocks` return nanoseconds."""

    def __init__(
        self,
        options: InterleavedOptions,
        progress: Progress,
        *,
        clocks: Mapping[Clock, Callable[[], int]] = CLOCKS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options, self.progress, self.clocks, self.now = options, progress, clocks, now
        self.shuffle = random.Random(options.seed)
        self.deadline = now() + options.max_time_s

    def measure(self, plans: Sequence[Schedule], outcome: Results) -> None:
        """Adds the rows of `plans` to the outcome, which also records Ctrl-C and device failures."""
        try:
            for i, plan in enumerate(plans):
                share = plan.weight / sum(each.weight for each in plans[i:])
                self._measure_plan(plan, share, outcome)
        except KeyboardInterrupt:
            outcome.interrupted = True
        except DeviceError as error:
            outcome.failure = str(error)

    def _measure_plan(self, plan: Schedule, share: float, outcome: Results) -> None:
        left_s = self.deadline - self.now()
        if left_s <= 0:
            outcome.rows.append(skipped_row(plan.name, "the budget is used up; try --max-time"))
            return
        self.progress(f"{plan.name}: verifying")
        try:
            comparisons = plan.comparisons()
            tracks = [
                ImplementationTrack(comparison, each)
                for comparison in comparisons
                for each in comparison.implementations
            ]
            right = [track for track in tracks if self._verify(track)]
            self.progress(f"{plan.name}: sampling")
            stopped = self._sample(right, share * left_s) if right else ""
        except (LimitError, OutOfMemory) as error:
            outcome.rows.append(skipped_row(plan.name, str(error)))
            return
        self.progress(f"{plan.name}: verifying again")
        for track in right:
            self._verify(track)
        outcome.rows += [_row(comparison, tracks, stopped) for comparison in comparisons]

    def _verify(self, track: ImplementationTrack) -> bool:
        implementation = track.implementation
        try:
            track.fault = implementation.verify(partial(self._once, track))
        except ShaderError as error:
            track.fault = str(error)
        if track.fault:
            track.verdict = "wrong"
        return not track.fault

    def _once(self, track: ImplementationTrack) -> None:
        self._run(track, track.implementation.step)

    def _sample(self, tracks: Sequence[ImplementationTrack], share_s: float) -> str:
        """Samples all tracks once per round; returns why it stopped."""
        start = self.now()
        for track in tracks:
            self._fit(track)
        for taken in count(1):
            for track in self.shuffle.sample(tracks, len(tracks)):
                track.samples_ns.append(self._run(track, track.runs) / track.runs)
                track.sampled.append(track.implementation.sampled())
            noise = max(summarise(track.samples_ns).noise for track in tracks)
            stopped = self._stop_reason(taken, noise, over=self.now() - start > share_s)
            if stopped:
                break
        return stopped

    def _stop_reason(self, taken: int, noise: float, *, over: bool) -> str:
        if taken >= self.options.max_samples:
            return f"{taken} samples"
        if self.now() > self.deadline:
            return f"budget: cut short after {taken} samples; try --max-time"
        if taken < self.options.min_samples:
            return ""
        if noise < _SETTLED:
            return f"settled: noise of the medians under {_SETTLED:.0%}"
        return f"budget: its share is used; noise of the medians {noise:.1%}" if over else ""

    def _fit(self, track: ImplementationTrack) -> None:
        """Finds the number of runs for a sample of `sample_s`."""
        each, wanted_ns = track.implementation, self.options.sample_s * 1e9
        runs = each.step
        while True:
            took_ns = min(
                self._lasted(track, runs) for _ in range(2)
            )  # The minimum, so that an outlier doesn't end the loop.
            if took_ns >= wanted_ns or runs >= each.limit:
                break
            growth = min(8.0, 1.2 * wanted_ns / took_ns)
            runs = min(each.limit, max(2, round(growth * runs / each.step)) * each.step)
        track.runs = runs

    def _lasted(self, track: ImplementationTrack, runs: int) -> float:
        start = self.clocks["wall"]()
        took_ns = self._run(track, runs)
        return max(took_ns, (self.clocks["wall"]() - start) / _WALL_SAMPLES, 1.0)

    def _run(self, track: ImplementationTrack, runs: int) -> float:
        """Nanoseconds of `runs` runs."""
        each, clock = track.implementation, self.clocks[track.comparison.clock]
        with each.around():
            start = clock()
            each.run(runs)
            took_ns = clock() - start
        each.after()
        return float(took_ns)


def _row(comparison: Comparison, tracks: Sequence[ImplementationTrack], stopped: str) -> ResultRow:
    figures = [_figure(track) for track in tracks if track.comparison is comparison]
    return ResultRow(
        comparison.what,
        comparison.clock,
        comparison.proof,
        (*figures, *comparison.skipped),
        nbytes=comparison.nbytes,
        seed=comparison.seed,
        stopped=stopped,
    )


def _figure(track: ImplementationTrack) -> Figure:
    by = track.implementation.by
    if track.verdict == "wrong":
        return Figure(by, "wrong", reason=track.fault)
    median = track.samples_ns.index(statistics.median_low(track.samples_ns))
    counts = {**track.implementation.counts(), **track.sampled[median]}
    return measured(by, track.samples_ns, runs=track.runs, counts=counts)
