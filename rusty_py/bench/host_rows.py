"""Rows of host code: `overhead` and `transfer` compare implementations by the clocks of the host."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rusty_py.measure.document import BenchProblem, BenchRun, ClockName, Figure
from rusty_py.measure.runner import Comparison, Progress
from rusty_py.measure.sampling import HostTrack, Options, random_seed
from rusty_py.measure.work import Implementation
from rusty_py.runtime.device import Device


class Measure(Protocol):
    """The measuring function of a command."""

    def __call__(
        self, device: Device, options: Options, *, context: Mapping[str, object], progress: Progress
    ) -> BenchRun: ...


def host_options(
    *, sample_s: float, min_samples: int, max_samples: int, runs: int | None, max_time_s: float
) -> Options:
    """Options without a warm-up of their own: finding the length of a sample warms host code up."""
    return Options(
        sample_s=sample_s,
        warmup_s=0.0,
        min_samples=runs or min_samples,
        max_samples=runs or max_samples,
        min_time_s=0.0,
        max_time_s=max_time_s,
        seed=random_seed(),
    )


def host_row(
    problem: BenchProblem,
    clock: ClockName,
    method: str,
    implementations: Sequence[Implementation],
    *,
    reference: str,
    seed: str = "",
) -> Comparison:
    """A row by `clock`: all implementations are sampled in the same rounds and verified by `method`."""
    tracks = [HostTrack(each, clock, method) for each in implementations]
    return Comparison(problem, tracks, reference=reference, seed=seed)


def named(counts: Mapping[str, float], unit: str = "") -> list[Figure]:
    """Counters of one unit as figures."""
    return [Figure(name, value, unit) for name, value in counts.items()]
