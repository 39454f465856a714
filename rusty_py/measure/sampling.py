"""Sampling: warm up, then time all implementations of a row in interleaved rounds, in random order."""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from rusty_py.measure.document import (
    ClockName,
    Figure,
    Result,
    Samples,
    Scope,
    Timed,
    Verdict,
    Verification,
    in_columns,
)
from rusty_py.measure.figures import ROOFLINE
from rusty_py.measure.stats import summarise
from rusty_py.measure.work import Implementation, Work
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, run, submissions
from rusty_py.runtime.timing import Timer

_SETTLED = 0.01  # Noise of the median, as a fraction, at which more samples change little.
_WALL_SAMPLES = 4  # A sample by CPU time grows no further once it lasts this many by the wall clock.

HOST_CLOCKS: Mapping[ClockName, Callable[[], int]] = {
    "cpu": time.thread_time_ns,
    "wall": time.perf_counter_ns,
}


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
            seed=random_seed() if seed is None else seed,
        )


def random_seed() -> int:
    """A new seed, to be recorded in the options."""
    return random.SystemRandom().getrandbits(32)


@dataclass
class Track:
    """An implementation while it is measured: subclasses say how to verify, to warm up and to sample it."""

    by: str
    clock: ClockName
    scope: Scope = "host"
    runs: int = 1
    rounds: list[int] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    verification: Verification | None = None
    verdict: Verdict = "ok"
    reason: str = ""

    def prepare(self) -> None:
        """Allocates and compiles. Raises LimitError and OutOfMemory."""

    def run_s(self) -> float:
        """An estimate of the seconds of one run; 0 if it needs none."""
        return 0.0

    def verify(self) -> Verification:
        """Verifies a single run."""
        raise NotImplementedError

    def recheck(self) -> Verification:
        """Verifies the output after timing."""
        return self.verify()

    def warm_up(self, options: Options, deadline: float) -> None:
        """Runs until clocks are up, and finds the number of runs for a sample of `sample_s`."""
        raise NotImplementedError

    def sample(self) -> Timed:
        """One sample of `runs` runs."""
        raise NotImplementedError

    def figures(self) -> list[Figure]:
        """Counters of the samples."""
        return []

    def keep(self, round: int, timed: Timed) -> None:
        """Keeps a sample."""
        self.rounds.append(round)
        self.timed.append(timed)

    def forget(self) -> None:
        """Drops the samples, to sample again."""
        self.rounds, self.timed = [], []

    def samples_ns(self) -> list[float]:
        """The time of a run, sample by sample."""
        return [each.ns(self.clock) / self.runs for each in self.timed]

    def samples(self) -> Samples:
        """All samples."""
        return in_columns(self.runs, self.rounds, self.timed)

    def result(self) -> Result:
        """The result so far, without statistics."""
        return Result(
            self.by,
            self.verdict,
            self.clock,
            self.scope,
            self.verification,
            samples=self.samples(),
            figures=tuple(self.figures()) if self.verdict == "ok" else (),
            reason=self.reason,
        )


class KernelTrack(Track):
    """Kernels on a device. `make` allocates the work; `clock` is that of the run."""

    def __init__(
        self, by: str, make: Callable[[], Work], device: Device, timer: Timer, clock: ClockName
    ) -> None:
        super().__init__(by, clock, "kernel")
        self.make, self.device, self.timer = make, device, timer
        self.parts: list[list[Launch]] = []
        self.roofline_ns: float | None = None
        self.work: Work | None = None

    def prepare(self) -> None:
        self.work = self.make()

    @property
    def made(self) -> Work:
        """The work, after `prepare`."""
        assert self.work is not None
        return self.work

    def run_s(self) -> float:
        """Estimated from the first submission, run once to compile and once to time."""
        launches = self.made.launches()
        first = next(submissions(self.device, launches))
        run(self.device, first)
        start = time.perf_counter()
        run(self.device, first)
        done_s = time.perf_counter() - start
        flops = sum(launch.flops for launch in launches)
        return flops / self.device.throughput.rate(first[0].spec) if flops else done_s

    def verify(self) -> Verification:
        return self.made.verify()

    def recheck(self) -> Verification:
        return self.made.recheck()

    def warm_up(self, options: Options, deadline: float) -> None:
        """Also until the throughput is known, which determines how long work is split into submissions."""
        spent_s = 0.0
        while True:
            launches = self.made.launches()
            self.parts = list(submissions(self.device, launches * self.runs))
            seconds = self.timer.sample(self.parts).wall_ns / 1e9
            if flops := self.runs * sum(launch.flops for launch in launches):
                main = max(launches, key=lambda launch: launch.flops)  # The others pack or reduce.
                self.device.throughput.observe(main.spec, flops=flops, seconds=seconds)
            spent_s += seconds
            wanted = math.ceil(options.sample_s * self.runs / seconds)
            warm = spent_s >= options.warmup_s or time.monotonic() > deadline
            if warm and wanted <= self.runs * 1.2:
                break
            self.runs = max(1, min(wanted, 8 * self.runs))
        self.parts = list(submissions(self.device, self.made.launches() * self.runs))

    def sample(self) -> Timed:
        """With a poisoned output; the poison is not timed."""
        self.made.poison()
        self.device.wait()
        sample = self.timer.sample(self.parts)
        return Timed(sample.wall_ns, sample.gpu_ns, fault=sample.fault)

    def result(self) -> Result:
        result, work = super().result(), self.work
        return replace(result, kernel=work.kernel, sha256=work.sha256, plan=work.plan) if work else result

    def figures(self) -> list[Figure]:
        return [] if self.roofline_ns is None else [Figure(ROOFLINE, self.roofline_ns, "ns")]


class HostTrack(Track):
    """Code on the host, by a host clock. `method` is the verification method."""

    def __init__(
        self,
        implementation: Implementation,
        clock: ClockName,
        method: str,
        *,
        scope: Scope = "host",
        clocks: Mapping[ClockName, Callable[[], int]] = HOST_CLOCKS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(implementation.by, clock, scope)
        self.implementation, self.method, self.clocks, self.now = implementation, method, clocks, now
        self.sampled: list[Sequence[Figure]] = []
        self.latest: Sequence[Figure] = ()
        self.verified_ns = 0.0

    def verify(self) -> Verification:
        def once() -> None:
            self.verified_ns = self._run(self.implementation.step)

        return Verification(self.method, fault=self.implementation.verify(once))

    def warm_up(self, options: Options, deadline: float) -> None:
        """Verification warmed up what is too long to be repeated before the deadline."""
        implementation, wanted_ns = self.implementation, options.sample_s * 1e9
        runs = implementation.step
        if self.verified_ns >= wanted_ns and self.now() + self.verified_ns / 1e9 > deadline:
            self.runs = runs
            return
        while True:
            # The minimum, so that an outlier doesn't end the loop.
            took_ns = min(self._lasted_ns(runs) for _ in range(2))
            if took_ns >= wanted_ns or runs >= implementation.limit:
                break
            growth = min(8.0, 1.2 * wanted_ns / took_ns)
            runs = max(2, round(growth * runs / implementation.step)) * implementation.step
            runs = min(implementation.limit, runs)
        self.runs = runs

    def sample(self) -> Timed:
        ns = self._run(self.runs)
        self.latest = self.implementation.sampled()  # Before another track counts with the same objects.
        return Timed(wall_ns=ns) if self.clock == "wall" else Timed(cpu_ns=ns)

    def keep(self, round: int, timed: Timed) -> None:
        super().keep(round, timed)
        self.sampled.append(self.latest)

    def figures(self) -> list[Figure]:
        """Those of all samples, and those of the median sample."""
        times = self.samples_ns()
        median = times.index(sorted(times)[(len(times) - 1) // 2]) if times else None
        return [*self.implementation.counts(), *(self.sampled[median] if median is not None else ())]

    def _lasted_ns(self, runs: int) -> float:
        start = self.clocks["wall"]()
        took_ns = self._run(runs)
        return max(took_ns, (self.clocks["wall"]() - start) / _WALL_SAMPLES, 1.0)

    def _run(self, runs: int) -> float:
        """Nanoseconds of `runs` runs: 1 where the clock cannot resolve them, since ratios divide by them."""
        clock = self.clocks[self.clock]
        with self.implementation.around():
            start = clock()
            self.implementation.run(runs)
            took_ns = clock() - start
        self.implementation.after()
        return float(max(took_ns, 1))


class Sampler:
    """Takes samples according to `options`, until `deadline` on the monotonic clock."""

    def __init__(
        self, options: Options, *, deadline: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.options, self.deadline, self.now = options, deadline, now
        self.shuffle = random.Random(options.seed)

    def rounds(
        self,
        tracks: Sequence[Track],
        *,
        share_s: float,
        drift_control: Callable[[], None] = lambda: None,
    ) -> str:
        """Samples all tracks once per round, after the drift control; returns why it stopped.

        It stops at the deadline, or after `share_s` seconds if there are enough samples.
        """
        start = self.now()
        for index in count():
            drift_control()
            taken = [(track, track.sample()) for track in self.shuffle.sample(tracks, len(tracks))]
            for track, timed in taken:  # Only now, so that Ctrl-C leaves complete rounds.
                track.keep(index, timed)
            stopped = self._stop_reason(tracks, spent_s=self.now() - start, share_s=share_s)
            if stopped:
                break
        return stopped

    def _stop_reason(self, tracks: Sequence[Track], *, spent_s: float, share_s: float) -> str:
        taken = len(tracks[0].timed)
        shortest_s = min(sum(each.ns(track.clock) for each in track.timed) for track in tracks) / 1e9
        long_enough = shortest_s >= self.options.min_time_s
        if taken >= self.options.max_samples and long_enough:
            return f"{taken} samples"
        if self.now() > self.deadline:
            return f"budget: cut short after {taken} samples; try --max-time"
        if taken < self.options.min_samples or not long_enough:
            return ""
        noise = max(summarise(track.samples_ns()).noise for track in tracks)
        if noise < _SETTLED:
            return f"settled: noise of the medians under {_SETTLED:.0%}"
        if spent_s * (1 + 1 / taken) > share_s:
            return f"budget: its share of it is used; noise of the medians {noise:.1%}"
        return ""
