"""Robust statistics for few samples."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

# Factors from MAD and interquartile range to the standard deviation of normal noise.
MAD_TO_SIGMA = 1.4826
_IQR_TO_SIGMA = 0.7413
_OUTLIER_SIGMAS = 3.5
"""Iglewicz and Hoaglin (1993): modified z-scores beyond this are outliers."""


@dataclass(frozen=True)
class Summary:
    """Statistics of n samples, in the samples' unit.

    A single sample has no spread: its `mad` and `iqr` are 0. `low` and `high` are the 95 % interval of the
    median by order statistics, the minimum and the maximum for fewer than 6 samples. `outliers` counts those
    more than 3.5 robust standard deviations from the median.
    """

    median: float
    mad: float
    iqr: float
    min: float
    n: int
    mean: float
    max: float
    p95: float
    low: float
    high: float
    outliers: int

    @property
    def spread(self) -> float | None:
        """The median absolute deviation; None for a single sample."""
        return self.mad if self.n > 1 else None

    @property
    def noise(self) -> float:
        """The standard error of the median, as a fraction of it.

        The spread is the larger of two estimates: either may be 0 if samples alternate between two values.
        """
        if self.n < 2 or self.median == 0:
            return math.inf
        return 1.2533 * self.scatter / math.sqrt(self.n)

    @property
    def scatter(self) -> float:
        """The robust standard deviation of the samples, as a fraction of the median."""
        return _sigma(self.mad, self.iqr) / self.median


def summarise(samples: Sequence[float]) -> Summary:
    """The summary of one or more samples."""
    ordered = sorted(samples)
    median = statistics.median(ordered)
    mad = statistics.median(abs(x - median) for x in ordered)
    first, last = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    far = _OUTLIER_SIGMAS * _sigma(mad, last - first)
    skipped = _median_rank(len(ordered))
    return Summary(
        median=median,
        mad=mad,
        iqr=last - first,
        min=ordered[0],
        n=len(ordered),
        mean=statistics.fmean(ordered),
        max=ordered[-1],
        p95=_quantile(ordered, 0.95),
        low=ordered[skipped],
        high=ordered[-1 - skipped],
        outliers=sum(abs(x - median) > far for x in ordered) if far else 0,
    )


def _sigma(mad: float, iqr: float) -> float:
    """The standard deviation, by the larger of two robust estimates."""
    return max(MAD_TO_SIGMA * mad, _IQR_TO_SIGMA * iqr)


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """The quantile by linear interpolation between sorted samples."""
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@cache
def _median_rank(n: int) -> int:
    """How many samples lie outside the 95 % interval of the median on each side, by order statistics.

    The number of n samples below the median of their distribution is binomial (n, 1/2).
    """
    rank, ways, outside = 0, 1, 1  # Of 2^n; in integers, since floats underflow from 1,075 samples on.
    while 2 * (rank + 1) < n:
        ways = ways * (n - rank) // (rank + 1)
        outside += ways
        if 40 * outside > 2**n:
            break
        rank += 1
    return rank


def ratio_interval(
    slower: Sequence[float], faster: Sequence[float], *, resamples: int = 2000
) -> tuple[float, float, float]:
    """(median, low, high) of the paired ratios slower/faster, with a 95 % bootstrap interval.

    Pairs are from the same round, which cancels common drift. The seed is fixed: the same samples give the
    same interval.
    """
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(resamples))
    return (
        statistics.median(ratios),
        medians[int(0.025 * resamples)],
        medians[int(0.975 * resamples)],
    )
