"""The variation of times between runs, and intervals that cover it.

Separate processes differ in clock speed, memory placement and other load on the machine. Samples within one
run don't show this, so intervals computed from them alone are too narrow. Here the variation is estimated
from all results of the compared runs, of which most have not changed. The unit of all values is the natural
logarithm of base time / other time: 0.1 is about 10 % faster.
"""

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

from rusty_py.measure.stats import MAD_TO_SIGMA

LEVEL = 0.95
"""The probability that all intervals of a comparison contain their true ratios."""

MIN_SPREAD = 0.005
"""The least spread between runs that is assumed: kernels on an idle H200 vary by 0.1 to 1 %."""

_PRIOR_FREEDOM = 2
"""The degrees of freedom of the spread that is assumed before any result is seen."""

_MIN_UNCHANGED = 3
"""Fewer results with unchanged code don't show how the machine changed."""


@dataclass(frozen=True)
class Change:
    """The change of one result from base to other.

    `log_ratio` has the standard error `error`, from samples whose ratios scatter by `scatter`. Results of one
    `problem` were sampled in the same rounds. The machine affects results of one `clock` alike. `same_code`
    says that the same code ran. A `reference` is not judged: it only shows the state of the machine. Code
    `on_host` runs at the clock of a core, which may change within a run, for several neighbouring results
    together.
    """

    log_ratio: float
    error: float
    scatter: float
    problem: str
    clock: Hashable
    same_code: bool
    reference: bool = False
    on_host: bool = False


@dataclass(frozen=True)
class Interval:
    """The interval of a log ratio."""

    low: float
    high: float


def intervals(changes: Sequence[Change], *, control: float | None) -> list[Interval]:
    """The interval of every change.

    `control` is the log ratio of the drift control kernel. Which part of a change the machine caused is not
    known, so an interval covers several estimates of it: none, `control`, and the medians of `_groups`. It
    extends beyond these by Student's t times the root of spread² + error², with a Bonferroni correction for
    the number of judged changes. The spread is that of the results of one clock.
    """
    judged = [change for change in changes if not change.reference]
    if not judged:
        return [Interval(-math.inf, math.inf) for _ in changes]
    clocks = {change.clock for change in judged}
    spreads = {clock: _spread(changes, clock, judged=len(judged)) for clock in clocks}
    found = []
    for change in changes:
        if change.clock not in spreads:  # That of references alone, which have no interval.
            found.append(Interval(-math.inf, math.inf))
            continue
        spread, quantile = spreads[change.clock]
        machine = [0.0, *([] if control is None else [control]), *map(_median, _groups(change, changes))]
        width = quantile * math.hypot(spread, change.error)
        found.append(
            Interval(change.log_ratio - max(machine) - width, change.log_ratio - min(machine) + width)
        )
    return found


def common_change(changes: Sequence[Change]) -> float | None:
    """The median log ratio of all judged results with unchanged code; None for fewer than three."""
    same = [change for change in changes if change.same_code and not change.reference]
    return _median(same) if len(same) >= _MIN_UNCHANGED else None


def _groups(change: Change, changes: Sequence[Change]) -> list[list[Change]]:
    """Results that show what the machine did: all with unchanged code, and those of the same rounds."""
    unchanged = [each for each in changes if each.same_code and each.clock == change.clock]
    of_rounds = [each for each in unchanged if each.problem == change.problem]
    return [group for group in (unchanged, of_rounds) if len(group) >= _MIN_UNCHANGED]


def _spread(changes: Sequence[Change], clock: Hashable, *, judged: int) -> tuple[float, float]:
    """The standard deviation of an unchanged result of a clock between the runs, and its quantile of t.

    Results with unchanged code show it, references included. Results with changed code count only if there
    are few others, by their differences from each other. The prior, an inverse chi-squared distribution, is a
    spread between runs as large as that between single samples.
    """
    of_clock = [each for each in changes if each.clock == clock]
    residuals = [_residual(each, _groups(each, changes)) for each in of_clock if each.same_code]
    if len(residuals) < _MIN_UNCHANGED:
        new = [each for each in of_clock if not each.same_code and not each.reference]
        residuals += [_residual(each, [new]) for each in new]
    prior = max(MIN_SPREAD, statistics.median(each.scatter for each in of_clock))
    freedom, between = 0, 0.0
    if len(residuals) >= _MIN_UNCHANGED:
        total = _deviation(residuals, on_host=of_clock[0].on_host)
        freedom = len(residuals) // 2
        between = max(0.0, total**2 - statistics.median(each.error**2 for each in of_clock))
    weight = _PRIOR_FREEDOM + freedom
    spread = math.sqrt((_PRIOR_FREEDOM * prior**2 + freedom * between) / weight)
    return spread, t_quantile(1 - (1 - LEVEL) / 2 / judged, weight)


def _deviation(residuals: Sequence[float], *, on_host: bool) -> float:
    """The standard deviation of residuals around 0.

    The median ignores up to half of the values, which may be real changes, at half of the precision. On the
    host it would also ignore the results that were sampled while the core ran at another clock.
    """
    if on_host:
        return math.sqrt(statistics.fmean(each**2 for each in residuals))
    return MAD_TO_SIGMA * statistics.median(map(abs, residuals))


def _residual(change: Change, groups: Sequence[Sequence[Change]]) -> float:
    """The difference from the median of the smallest group, which the change itself draws towards it."""
    if not groups:
        return change.log_ratio
    k = len(groups[-1])
    return (change.log_ratio - _median(groups[-1])) * k / max(k - 1, 1)


def _median(group: Sequence[Change]) -> float:
    return statistics.median(each.log_ratio for each in group)


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution, for probabilities above one half."""
    low, high = 0.0, 1.0
    while _t_probability(high, freedom) < probability:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if _t_probability(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def _t_probability(t: float, freedom: int) -> float:
    """P(T < t) for t >= 0 (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= math.cos(angle) ** 2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1 + inside) / 2
