import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.measure.stats import Summary, ratio_interval, summarise

TIMES = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=40)


def normal(mean: float, *, seed: int, spread: float = 0.02, n: int = 30) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, spread * mean) for _ in range(n)]


def test_a_summary_of_known_samples() -> None:
    assert summarise([1.0, 2.0, 4.0, 8.0, 100.0]) == Summary(
        median=4.0,
        mad=3.0,
        iqr=6.0,
        min=1.0,
        n=5,
        mean=23.0,
        max=100.0,
        p95=pytest.approx(81.6),  # 4/5 of the way from 8 to 100.
        low=1.0,
        high=100.0,
        outliers=1,
    )


def test_an_even_number_of_samples_has_its_median_between_the_middle_two() -> None:
    summary = summarise([1.0, 2.0, 4.0, 8.0])
    assert (summary.median, summary.mad, summary.iqr) == (3.0, 1.5, 3.25)


def test_a_single_sample_is_each_of_its_statistics() -> None:
    summary = summarise([5.0])
    assert {
        summary.median,
        summary.mean,
        summary.min,
        summary.max,
        summary.p95,
        summary.low,
        summary.high,
    } == {5.0}
    assert (summary.mad, summary.iqr, summary.outliers, summary.n) == (0.0, 0.0, 0, 1)


@given(TIMES)
def test_statistics_are_in_order(samples: list[float]) -> None:
    s = summarise(samples)
    assert s.min <= s.low <= s.median <= s.high <= s.max
    assert s.min <= s.p95 <= s.max
    assert s.min <= s.mean * (1 + 1e-12)
    assert s.mean <= s.max * (1 + 1e-12)


def test_mean_and_95th_percentile_are_those_of_numpy() -> None:
    samples = normal(100.0, seed=3, spread=0.3, n=23)
    summary = summarise(samples)
    assert summary.mean == pytest.approx(np.mean(samples))
    assert summary.p95 == pytest.approx(np.percentile(samples, 95))
    assert summary.iqr == pytest.approx(np.subtract(*np.percentile(samples, [75, 25])))


def test_outliers_are_farther_than_three_and_a_half_robust_deviations() -> None:
    calm = normal(100.0, seed=4, spread=0.01, n=50)
    assert summarise(calm).outliers == 0
    assert summarise([*calm, 150.0, 50.0, 100.1]).outliers == 2
    assert summarise([5.0] * 9 + [6.0]).outliers == 0  # Without a spread, no distance is far.


# The rank k with P(B < k) <= 2.5 % for B binomial (n, 1/2), counted from 1; Conover (1999), table A3.
@pytest.mark.parametrize(
    ("n", "rank"), [(2, 1), (5, 1), (6, 1), (8, 1), (9, 2), (12, 3), (20, 6), (30, 10), (5000, 2431)]
)
def test_the_interval_of_the_median_is_that_of_the_tables_of_order_statistics(n: int, rank: int) -> None:
    summary = summarise([float(i) for i in range(1, n + 1)])
    assert (summary.low, summary.high) == (rank, n + 1 - rank)


@pytest.mark.parametrize("n", [6, 7, 9, 15, 30])
def test_the_interval_covers_the_median_of_a_skewed_distribution_as_often_as_it_says(n: int) -> None:
    draw, trials = random.Random(n), 4000
    median = math.log(2)  # Of the exponential distribution.
    covered = 0
    for _ in range(trials):
        summary = summarise([draw.expovariate(1.0) for _ in range(n)])
        covered += summary.low <= median <= summary.high
    # The coverage is at least 95 %; 3 standard errors of the simulation are 1 %.
    assert covered / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
    assert covered / trials <= 0.995


def test_five_samples_are_too_few_for_95_percent() -> None:
    draw, trials = random.Random(5), 4000
    covered = sum(
        summary.low <= 0.5 <= summary.high
        for summary in (summarise([draw.random() for _ in range(5)]) for _ in range(trials))
    )
    assert covered / trials == pytest.approx(1 - 2 * 0.5**5, abs=0.015)  # Minimum to maximum: 93.75 %.


def test_one_outlier_moves_neither_median_nor_spread() -> None:
    calm, spoiled = summarise([9.0, 10.0, 11.0]), summarise([9.0, 10.0, 1e9])
    assert (calm.median, calm.mad) == (spoiled.median, spoiled.mad)


@given(TIMES)
def test_the_order_of_samples_does_not_matter(samples: list[float]) -> None:
    assert summarise(samples) == summarise(sorted(samples))
    assert min(samples) <= summarise(samples).median <= max(samples)


@given(TIMES, st.sampled_from([0.5, 2.0, 1024.0]))
def test_the_unit_does_not_matter_to_the_noise(samples: list[float], scale: float) -> None:
    assert summarise([scale * x for x in samples]).noise == pytest.approx(summarise(samples).noise)


def test_noise_is_the_standard_error_of_the_median() -> None:
    n = 10_001
    noise = summarise(normal(100.0, seed=1, spread=0.02, n=n)).noise
    assert noise == pytest.approx(1.2533 * 0.02 / math.sqrt(n), rel=0.05)


def test_equal_samples_have_no_noise() -> None:
    assert summarise([5.0] * 7).noise == 0.0


def test_one_sample_says_nothing_of_its_noise() -> None:
    assert summarise([5.0]).noise == math.inf


def test_a_clear_difference_is_outside_the_noise() -> None:
    ratio, low, high = ratio_interval(normal(120, seed=1), normal(100, seed=2))
    assert 1 < low <= ratio <= high
    assert ratio == pytest.approx(1.2, rel=0.02)


def test_a_single_sample_has_no_spread() -> None:
    assert summarise([2.0]).spread is None
    assert summarise([2.0, 4.0]).spread == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_two_samples_of_one_distribution_are_within_the_noise(seed: int) -> None:
    _, low, high = ratio_interval(normal(100, seed=10 + seed), normal(100, seed=20 + seed))
    assert low <= 1 <= high


def test_drift_in_both_falls_out_of_the_ratio() -> None:
    drift = [1.0 + 0.1 * i for i in range(30)]
    slower = [d * x for d, x in zip(drift, normal(105, seed=1, spread=0.005), strict=True)]
    faster = [d * x for d, x in zip(drift, normal(100, seed=2, spread=0.005), strict=True)]
    ratio, low, _ = ratio_interval(slower, faster)
    assert low > 1
    assert ratio == pytest.approx(1.05, rel=0.01)


def test_the_same_samples_give_the_same_interval() -> None:
    samples = normal(120, seed=1), normal(100, seed=2)
    assert ratio_interval(*samples) == ratio_interval(*samples)


def test_samples_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_interval([1.0, 2.0], [1.0])
