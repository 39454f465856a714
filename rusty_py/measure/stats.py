"""Robust statistics of a few samples."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# What makes the standard deviation of normal noise of its MAD, and of its interquartile range.
_MAD_TO_SIGMA = 1.4826
_IQR_TO_SIGMA = 0.7413


@dataclass(frozen=True)
class Summary:
    """Median, median absolute deviation, interquartile range and least of n samples, in the samples' unit.

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

        The spread is the larger of two estimates: of samples that jump between two values, either may be 0.
        """
        if self.n < 2 or self.median == 0:
            return math.inf
        sigma = max(_MAD_TO_SIGMA * self.mad, _IQR_TO_SIGMA * self.iqr)
        return 1.2533 * sigma / math.sqrt(self.n) / self.median


def summarise(samples: Sequence[float]) -> Summary:
    """The summary of `samples`, of which there is one at least."""
    median = statistics.median(samples)
    mad = statistics.median(abs(x - median) for x in samples)
    low, _, high = statistics.quantiles(samples, method="inclusive") if len(samples) > 1 else (median,) * 3
    return Summary(median, mad, high - low, min(samples), len(samples))


def ratio_interval(
    slower: Sequence[float], faster: Sequence[float], *, resamples: int = 2000
) -> tuple[float, float, float]:
    """(median, low, high) of slower/faster, pair by pair: a bootstrap interval of 95 %.

    The pairs come from the same rounds, so that what drifted in both falls out. The seed is fixed: the
    same samples give the same interval.
    """
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(resamples))
    return (
        statistics.median(ratios),
        medians[int(0.025 * resamples)],
        medians[int(0.975 * resamples)],
    )
