import numpy as np
import pytest

from rusty_py.measure.ceilings import pass_shift


@pytest.mark.parametrize("count", [3 * 2**18, 2**20, 1_048_577, 2_880_000, 2**26])
def test_no_pass_comes_back_to_where_one_of_the_last_32_began(count: int) -> None:
    starts = np.arange(64) * pass_shift(count) % count
    for lag in range(1, 33):
        apart = np.abs(starts[lag:] - starts[:-lag])
        assert np.minimum(apart, count - apart).min() > count // 100, lag


def test_a_pass_starts_at_a_whole_cache_line() -> None:
    assert [pass_shift(count) % 256 for count in (1, 255, 1000, 1_000_003)] == [0] * 4
    assert pass_shift(1_000_003) > 0
