"""Robust statistics for few samples."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Factors from MAD and interquartile range to the standard deviation of normal noise.
_MAD_TO_SIGMA = 1.4826
_IQR_TO_SIGMA = 0.7413


@dataclass(frozen=True)
class Summary:
    """Median, median absolute deviation, interquartile range and minimum of n samples, in the samples' unit.

    A single sample has no spread: its `mad` and `iqr` are 0.
    """

    median: float
    mad: float
    iqr: float
    min: float
    n: int

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
        sigma = max(_MAD_TO_SIGMA * self.mad, _IQR_TO_SIGMA * self.iqr)
        return 1.2533 * sigma / math.sqrt(self.n) / self.median


def summarise(samples: Sequence[float]) -> Summary:
    """The summary of one or more samples."""
    median = statistics.median(samples)
    mad = statistics.median(abs(x - median) for x in samples)
    low, _, high = statistics.quantiles(samples, method="inclusive") if len(samples) > 1 else (median,) * 3
    return Summary(median, mad, high - low, min(samples), len(samples))


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
