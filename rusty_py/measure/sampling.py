"""Sampling: warm up, then time all kernels of a problem in interleaved rounds, in random order."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from rusty_py.measure.case import Case, Timed, Verification, Work
from rusty_py.measure.clock import Clock
from rusty_py.measure.stats import summarise
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, submissions
from rusty_py.runtime.timing import TimedSample, Timer

_SETTLED = 0.01  # Noise of the median, as a fraction, at which more samples change little.


@dataclass(frozen=True)
class Options:
    """How long to measure. Times are in seconds; `max_time_s` limits the whole run."""

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
        """Defaults for an adapter: a GPU needs 100 ms of work to leave its idle clocks, CPU drivers don't.

        `runs` is the exact number of samples per row, unless the budget is exhausted.
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
    """A case being measured: `parts` are the submissions of one sample of `runs` runs."""

    case: Case
    work: Work
    verification: Verification
    parts: list[list[Launch]] = field(default_factory=list)
    runs: int = 1
    samples: list[Timed] = field(default_factory=list)


class Sampler:
    """Takes samples on a device according to `options`, until `deadline` on the monotonic clock."""

    def __init__(
        self, device: Device, timer: Timer, clock: Clock, options: Options, *, deadline: float
    ) -> None:
        self.deadline = deadline
        self.device, self.timer, self.clock, self.options = device, timer, clock, options
        self.shuffle = random.Random(options.seed)

    def warm_up(self, track: Track) -> None:
        """Runs a case until the GPU clocks are up and its throughput is known, and sizes its samples."""
        spent_s = 0.0
        while True:
            launches = track.work.launches()
            track.parts = list(submissions(self.device, launches * track.runs))
            seconds = self.timer.sample(track.parts).wall_ns / 1e9
            flops = track.case.problem.flops * track.runs
            main = max(launches, key=lambda launch: launch.flops)  # The others pack or reduce.
            self.device.throughput.observe(main.spec, flops=flops, seconds=seconds)
            spent_s += seconds
            wanted = math.ceil(self.options.sample_s * track.runs / seconds)
            warm = spent_s >= self.options.warmup_s or time.monotonic() > self.deadline
            if warm and wanted <= track.runs * 1.2:
                break
            track.runs = max(1, min(wanted, 8 * track.runs))
        track.parts = list(submissions(self.device, track.work.launches() * track.runs))

    def rounds(self, tracks: Sequence[Track], *, drift_control: Callable[[], None], share_s: float) -> str:
        """Samples all tracks once per round, after the drift control; returns why it stopped.

        It stops at the deadline, or after `share_s` seconds if there are enough samples.
        """
        start = time.monotonic()
        for index in count():
            drift_control()
            taken = [(track, self.sample(track)) for track in self.shuffle.sample(tracks, len(tracks))]
            for track, sample in taken:  # Only now, so that Ctrl-C leaves complete rounds.
                track.samples.append(Timed(index, track.runs, sample.wall_ns, sample.gpu_ns, sample.fault))
            stopped = self._stop_reason(tracks, spent_s=time.monotonic() - start, share_s=share_s)
            if stopped:
                break
        return stopped

    def sample(self, track: Track) -> TimedSample:
        """One sample, with a poisoned output."""
        track.work.poison()
        return self.timer.sample(track.parts)

    def _stop_reason(self, tracks: Sequence[Track], *, spent_s: float, share_s: float) -> str:
        taken = len(tracks[0].samples)
        if time.monotonic() > self.deadline:
            return f"budget: cut short after {taken} samples; try --max-time"
        if taken < self.options.min_samples:
            return ""
        min_s = min(sum(timed.wall_ns for timed in track.samples) for track in tracks) / 1e9
        if min_s < self.options.min_time_s:
            return ""
        if taken >= self.options.max_samples:
            return f"{taken} samples"
        noise = max(summarise(run_ns(track.samples, self.clock)).noise for track in tracks)
        if noise < _SETTLED:
            return f"settled: noise of the medians under {_SETTLED:.0%}"
        if spent_s * (1 + 1 / taken) > share_s:
            return f"budget: its share of it is used; noise of the medians {noise:.1%}"
        return ""


def run_ns(samples: Sequence[Timed], clock: Clock) -> list[float]:
    """Nanoseconds of one run by `clock`, sample by sample."""
    return [timed.ns(clock.name) / timed.runs for timed in samples]
