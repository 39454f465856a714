import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.measure.stats import Summary, ratio_interval, summarise

TIMES = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=40)


def normal(mean: float, *, seed: int, spread: float = 0.02, n: int = 30) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, spread * mean) for _ in range(n)]


def test_a_summary_of_known_samples() -> None:
    assert summarise([1.0, 2.0, 4.0, 8.0, 100.0]) == Summary(median=4.0, mad=3.0, iqr=6.0, min=1.0, n=5)


def test_an_even_number_of_samples_has_its_median_between_the_middle_two() -> None:
    assert summarise([1.0, 2.0, 4.0, 8.0]) == Summary(median=3.0, mad=1.5, iqr=3.25, min=1.0, n=4)


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
