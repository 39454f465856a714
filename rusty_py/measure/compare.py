"""Compares the results of runs: which are faster, slower or the same, beyond the variation between runs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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

    `common` is the median ratio of the results with unchanged code, `control` the ratio of the drift control
    kernel, None if unknown. `half_width` is the median half-width of the intervals, as a fraction.
    """

    results: tuple[ComparedResult, ...]
    comparability: Comparability
    only_base: tuple[str, ...]
    only_other: tuple[str, ...]
    common: float | None = None
    control: float | None = None
    half_width: float | None = None

    def slower_than(self, fraction: float) -> list[ComparedResult]:
        """The results whose time certainly grew by more than `fraction`: the whole interval is beyond it."""
        return [each for each in self.results if each.high is not None and each.high * (1 + fraction) < 1]


@dataclass(frozen=True)
class _Match:
    """The results of one problem and implementation in all runs of both sides."""

    row: Row
    by: str
    base: Sequence[Result]
    other: Sequence[Result]
    refused: tuple[str, ...]

    @cached_property
    def fault(self) -> str:
        """Why the results have no ratio; empty if they have one."""
        return "; ".join(self.refused) or fault_of(self.base, self.other)

    @property
    def is_sampled(self) -> bool:
        """Whether all results have enough samples for an interval."""
        return all(result.stats and result.stats.n >= MIN_SAMPLES for result in (*self.base, *self.other))

    @property
    def log_ratio(self) -> float:
        """Of the median times. Only results without a fault have one."""
        base, other = _ns(self.base), _ns(self.other)
        assert base
        assert other
        return math.log(base / other)


_Key = tuple[object, ...]


def compare(base: Sequence[BenchRun], other: Sequence[BenchRun]) -> RunComparison:
    """Compares runs of one state of the code with runs of another; several runs of a side are averaged.

    A result is compared if all runs have it.
    """
    found = comparability(base, other)
    of_base, of_other = _by_key(base), _by_key(other)
    matches = [
        _Match(row, by, results, of_other[key][2], found.refused)
        for key, (row, by, results) in of_base.items()
        if key in of_other
    ]
    sampled = [match for match in matches if not match.fault and match.is_sampled]
    changes = [_change(match, [*base, *other]) for match in sampled]
    control = _control_log_ratio(base, other)
    limits = dict(zip(map(id, sampled), intervals(changes, control=control), strict=True))
    results = tuple(_compared(match, limits.get(id(match))) for match in matches)
    return RunComparison(
        results,
        found,
        only_base=tuple(_name(row, by) for key, (row, by, _) in of_base.items() if key not in of_other),
        only_other=tuple(_name(row, by) for key, (row, by, _) in of_other.items() if key not in of_base),
        common=_exp(common_change(changes)),
        control=_exp(control),
        half_width=_half_width(results),
    )


def _by_key(runs: Sequence[BenchRun]) -> dict[_Key, tuple[Row, str, list[Result]]]:
    """The results that all runs have, by what must agree for a comparison."""
    found: dict[_Key, tuple[Row, str, list[Result]]] = {}
    for run in runs:
        for row, result in run.results():
            problem = row.problem
            options, axes = frozenset(problem.options.items()), frozenset(problem.axes.items())
            key = (problem.operation, problem.name, problem.dtype, options, axes, result.by)
            found.setdefault(key, (row, result.by, []))[2].append(result)
    return {key: each for key, each in found.items() if len(each[2]) == len(runs)}


def _change(match: _Match, runs: Sequence[BenchRun]) -> Change:
    first = match.base[0]
    reference = match.by == match.row.reference
    kernel = _kernel(match)
    same = same_packages(runs) if reference else kernel == "same" or (not kernel and same_software(runs))
    return Change(
        match.log_ratio,
        error=math.hypot(_error(match.base), _error(match.other)),
        scatter=math.hypot(_scatter(match.base), _scatter(match.other)),
        problem=match.row.problem.name,
        clock=(first.clock, first.scope),
        same_code=same,
        reference=reference,
    )


def _ns(results: Sequence[Result]) -> float | None:
    """The median time over the runs; None if a run has no time."""
    times = [result.ns for result in results if result.ns]
    return statistics.median(times) if len(times) == len(results) else None


def _error(results: Sequence[Result]) -> float:
    """The standard error of the log time: from the samples, or from the runs if these differ more."""
    within = math.hypot(*(result.stats.noise for result in results if result.stats)) / len(results)
    if len(results) < 2:
        return within
    between = statistics.stdev(math.log(result.ns or math.nan) for result in results)
    return max(within, between / math.sqrt(len(results)))


def _scatter(results: Sequence[Result]) -> float:
    """The scatter of single samples as a fraction, over the root of the number of runs."""
    scatter = statistics.median(each.stats.scatter for each in results if each.stats)
    return scatter / math.sqrt(len(results))


def _kernel(match: _Match) -> KernelChange:
    hashes = {result.sha256 for result in (*match.base, *match.other)}
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
        match.row.problem,
        match.by,
        match.base[0].clock,
        _ns(match.base),
        _ns(match.other),
        "NOT COMPARABLE",
        kernel=_kernel(match),
        reason=match.fault,
    )
    if match.fault:
        return unjudged
    ratio = math.exp(match.log_ratio)
    if match.by == match.row.reference:
        return replace(unjudged, verdict="reference", ratio=ratio)
    if limits is None:
        return replace(unjudged, verdict="UNSURE", ratio=ratio, reason=f"fewer than {MIN_SAMPLES} samples")
    low, high = math.exp(limits.low), math.exp(limits.high)
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


def _name(row: Row, by: str) -> str:
    return f"{row.problem.name}, {by}"
