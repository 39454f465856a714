"""Compares the results of runs: which are faster, slower or the same, beyond the variation between runs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rusty_py.measure.comparability import (
    Comparability,
    comparability,
    fault_of,
    same_packages,
    same_software,
)
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Row
from rusty_py.measure.run_to_run import Change, Interval, common_change, intervals

KernelChange = Literal["same", "changed", ""]
ChangeVerdict = Literal["FASTER", "SLOWER", "SAME", "UNSURE", "NOT COMPARABLE", "reference"]

TOLERANCE = 0.03
"""Changes within this are SAME: the same kernel on an idle H200 differed by up to 2 % between runs."""

_WIDEST = 300.0
"""Of the logarithm of an interval's ends: beyond it, they are no finite numbers."""

MIN_SAMPLES = 5
"""An interval needs as many samples in each run."""


@dataclass(frozen=True)
class ComparedResult:
    """A problem and implementation in base and other.

    `ratio` is base time / other time, above 1 if other is faster, and `low` and `high` its interval. `kernel`
    says whether the WGSL is the same, by its hash; empty if the code is not ours. `reason` explains a verdict
    without an interval.
    """

    problem: BenchProblem
    by: str
    clock: str
    base_ns: float | None
    other_ns: float | None
    verdict: ChangeVerdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    kernel: KernelChange = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The problem and the implementation in one line."""
        return f"{self.problem.name}, {self.by}"


@dataclass(frozen=True)
class RunComparison:
    """All results of base and other.

    `only_base` and `only_other` name the problem and implementation of results that the other side lacks.
    `common` is the median ratio of the results with unchanged code, `control` the ratio of the drift control
    kernel, None if unknown. `half_width` is the median half-width of the intervals, as a fraction.
    """

    results: tuple[ComparedResult, ...]
    comparability: Comparability
    only_base: tuple[tuple[str, str], ...]
    only_other: tuple[tuple[str, str], ...]
    common: float | None = None
    control: float | None = None
    half_width: float | None = None

    def slower_than(self, fraction: float) -> list[ComparedResult]:
        """The results whose time certainly grew by more than `fraction`: the whole interval is beyond it."""
        return [each for each in self.results if each.high is not None and each.high * (1 + fraction) < 1]


@dataclass(frozen=True)
class _Repeated:
    """The results of one problem and implementation in all runs of a side."""

    row: Row
    by: str
    results: list[Result]

    @property
    def ns(self) -> float | None:
        """The median time over the runs; None if a run has no time."""
        times = [result.ns for result in self.results if result.ns]
        return statistics.median(times) if len(times) == len(self.results) else None

    @property
    def deviations(self) -> list[float]:
        """The log time in each run, minus the mean; empty if a run has no time."""
        logs = [math.log(result.ns) for result in self.results if result.ns] if self.ns else []
        return [each - statistics.fmean(logs) for each in logs]

    @property
    def names(self) -> tuple[str, str]:
        return self.row.problem.name, self.by

    @property
    def is_sampled(self) -> bool:
        """Whether all runs have enough samples for an interval."""
        return all(result.stats and result.stats.n >= MIN_SAMPLES for result in self.results)

    @property
    def scatter(self) -> float:
        """The scatter of single samples as a fraction, over the root of the number of runs."""
        scatter = statistics.median(each.stats.scatter for each in self.results if each.stats)
        return scatter / math.sqrt(len(self.results))

    def error(self, speeds: Sequence[float]) -> float:
        """The standard error of the log time: from the samples, or from the runs if these differ more.

        `speeds` are the deviations that all results of a run have in common.
        """
        k = len(self.results)
        within = math.hypot(*(result.stats.noise for result in self.results if result.stats)) / k
        if k < 2:
            return within
        own = [deviation - speed for deviation, speed in zip(self.deviations, speeds, strict=True)]
        return max(within, statistics.stdev(own) / math.sqrt(k))


@dataclass(frozen=True)
class _Match:
    """A result in base and other, and why it has no ratio; empty if it has one."""

    base: _Repeated
    other: _Repeated
    fault: str

    @property
    def log_ratio(self) -> float:
        """Of the median times. Only results without a fault have one."""
        base, other = self.base.ns, self.other.ns
        assert base
        assert other
        return math.log(base / other)

    @property
    def results(self) -> list[Result]:
        return [*self.base.results, *self.other.results]

    @property
    def is_reference(self) -> bool:
        return self.base.by in (self.base.row.reference, f"{self.base.row.reference} graph")


_Key = tuple[object, ...]


def compare(base: Sequence[BenchRun], other: Sequence[BenchRun]) -> RunComparison:
    """Compares runs of one state of the code with runs of another; several runs of a side are averaged.

    A result is compared if all runs have it.
    """
    found = comparability(base, other)
    refused = "; ".join(found.refused)
    of_base, of_other = _by_key(base), _by_key(other)
    matches = [
        _Match(of_base[key], of_other[key], refused or fault_of(of_base[key].results, of_other[key].results))
        for key in of_base
        if key in of_other
    ]
    sampled = [
        match for match in matches if not match.fault and match.base.is_sampled and match.other.is_sampled
    ]
    changes = _changes(sampled, [*base, *other])
    control = _control_log_ratio(base, other)
    limits = dict(zip(map(id, sampled), intervals(changes, control=control), strict=True))
    results = tuple(_compared(match, limits.get(id(match))) for match in matches)
    return RunComparison(
        results,
        found,
        only_base=tuple(each.names for key, each in of_base.items() if key not in of_other),
        only_other=tuple(each.names for key, each in of_other.items() if key not in of_base),
        common=_exp(common_change(changes)),
        control=_exp(control),
        half_width=_half_width(results),
    )


def _by_key(runs: Sequence[BenchRun]) -> dict[_Key, _Repeated]:
    """The results that all runs have, by what must agree for a comparison."""
    found: dict[_Key, _Repeated] = {}
    for run in runs:
        for row, result in run.results():
            problem = row.problem
            options, axes = frozenset(problem.options.items()), frozenset(problem.axes.items())
            key = (problem.operation, problem.name, problem.dtype, options, axes, result.by)
            found.setdefault(key, _Repeated(row, result.by, [])).results.append(result)
    return {key: each for key, each in found.items() if len(each.results) == len(runs)}


def _changes(matches: Sequence[_Match], runs: Sequence[BenchRun]) -> list[Change]:
    base_speeds = _speeds([match.base for match in matches])
    other_speeds = _speeds([match.other for match in matches])
    return [
        Change(
            match.log_ratio,
            error=math.hypot(match.base.error(base_speeds), match.other.error(other_speeds)),
            scatter=math.hypot(match.base.scatter, match.other.scatter),
            problem=match.base.row.problem.name,
            clock=(match.base.results[0].clock, match.base.results[0].scope),
            same_code=_is_same_code(match, runs),
            reference=match.is_reference,
            on_host=match.base.results[0].scope != "kernel",
        )
        for match in matches
    ]


def _speeds(side: Sequence[_Repeated]) -> list[float]:
    """The median deviation of all results, in each run of a side."""
    return [statistics.median(of_run) for of_run in zip(*(each.deviations for each in side), strict=True)]


def _is_same_code(match: _Match, runs: Sequence[BenchRun]) -> bool:
    """By the hash of the kernel; without one, a reference depends on packages, other code on the commit."""
    if match.is_reference:
        return same_packages(runs)
    kernel = _kernel(match)
    return kernel == "same" or (not kernel and same_software(runs))


def _kernel(match: _Match) -> KernelChange:
    hashes = {result.sha256 for result in match.results}
    return "" if "" in hashes else "same" if len(hashes) == 1 else "changed"


def _control_log_ratio(base: Sequence[BenchRun], other: Sequence[BenchRun]) -> float | None:
    """The log ratio of the drift control kernel's times, None if a run has none."""
    if not all(run.drift_control_ns for run in (*base, *other)):
        return None
    of_base, of_other = (
        statistics.median(statistics.median(run.drift_control_ns) for run in side) for side in (base, other)
    )
    return math.log(of_base / of_other)


def _compared(match: _Match, limits: Interval | None) -> ComparedResult:
    unjudged = ComparedResult(
        match.base.row.problem,
        match.base.by,
        match.base.results[0].clock,
        match.base.ns,
        match.other.ns,
        "NOT COMPARABLE",
        kernel=_kernel(match),
        reason=match.fault,
    )
    if match.fault:
        return unjudged
    ratio = math.exp(match.log_ratio)
    if match.is_reference:
        return replace(unjudged, verdict="reference", ratio=ratio)
    if limits is None:
        return replace(unjudged, verdict="UNSURE", ratio=ratio, reason=f"fewer than {MIN_SAMPLES} samples")
    low, high = (math.exp(max(-_WIDEST, min(each, _WIDEST))) for each in (limits.low, limits.high))
    return replace(unjudged, verdict=_verdict(ratio, low, high), ratio=ratio, low=low, high=high)


def _verdict(ratio: float, low: float, high: float) -> ChangeVerdict:
    """SAME if the interval is within the tolerance; a change if it excludes 1 and the ratio is beyond."""
    slower, faster = 1 / (1 + TOLERANCE), 1 + TOLERANCE
    if low >= slower and high <= faster:
        return "SAME"
    if low > 1 and ratio > faster:
        return "FASTER"
    if high < 1 and ratio < slower:
        return "SLOWER"
    return "UNSURE"


def _half_width(results: Sequence[ComparedResult]) -> float | None:
    widths = [math.log(each.high / each.low) / 2 for each in results if each.low and each.high]
    return math.expm1(statistics.median(widths)) if widths else None


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
