"""Clock selection: GPU timestamps are used only if they agree with the wall clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from rusty_py.runtime.launch import Launch
from rusty_py.runtime.timing import TimedSample, Timer


@dataclass(frozen=True)
class Clock:
    """The clock of the results, "gpu" or "wall", and the reason for it."""

    name: str
    reason: str

    def ns(self, sample: TimedSample) -> float:
        """The time of the sample by this clock."""
        if self.name == "gpu" and sample.gpu_ns is not None:
            return sample.gpu_ns
        return sample.wall_ns


def check_clock(timer: Timer, work: Launch, *, at_least_s: float) -> Clock:
    """The GPU clock if doubling the work adds the same time as on the wall clock, else the wall clock.

    `work` is repeated until it takes `at_least_s`.
    """
    repeats = 1
    while timer.sample([[work] * repeats]).wall_ns < at_least_s * 1e9 and repeats < 1 << 14:
        repeats *= 2
    clock = Clock("wall", "not tried")
    for _ in range(3):
        once = [timer.sample([[work] * repeats]) for _ in range(3)]
        twice = [timer.sample([[work] * repeats] * 2) for _ in range(3)]
        clock = compare_clocks(_minimum(once), _minimum(twice))
        if clock.name == "gpu":
            break
    return clock


def compare_clocks(once: TimedSample, twice: TimedSample) -> Clock:
    """The clock to use, given samples of some work and of twice that work."""
    if once.gpu_ns is None or twice.gpu_ns is None:
        return Clock("wall", once.fault or twice.fault)
    grown = twice.gpu_ns / once.gpu_ns
    if not 1.6 < grown < 2.4:
        return Clock("wall", f"twice the work took {grown:.2f} times as long by timestamps")
    if twice.wall_ns <= once.wall_ns:
        return Clock("wall", "twice the work took no longer by the wall clock")
    added = (twice.gpu_ns - once.gpu_ns) / (twice.wall_ns - once.wall_ns)
    if not 0.8 < added < 1.25:
        return Clock("wall", f"timestamps ran at {added:.2f} times the wall clock")
    return Clock("gpu", f"timestamps agree with the wall clock within {abs(added - 1):.1%}")


def _minimum(samples: Sequence[TimedSample]) -> TimedSample:
    return min(samples, key=lambda sample: sample.wall_ns)
