"""GPU timestamps that can be true, and those that cannot."""

import numpy as np
import pytest

from rusty_py.runtime.timing import TimedSample, judge

MS = 1e6  # In nanoseconds.


def stamps(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64)


def test_ordered_stamps_within_the_wall_clock_are_believed() -> None:
    sample = judge(stamps((1, 2 * MS + 1), (3 * MS, 4 * MS)), 5 * MS)
    assert sample == TimedSample(5 * MS, 3 * MS)


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        ([(0, 0)], "timestamps were 0"),
        ([(1, 0)], "timestamps were 0"),
        ([(1, MS), (0, 2 * MS)], "timestamps were 0"),
        ([(MS, 1)], "timestamps were out of order"),
        ([(MS, MS)], "timestamps were out of order"),
        ([(2 * MS, 3 * MS), (1, MS)], "timestamps were out of order"),
        ([(1, 2 * MS), (MS, 3 * MS)], "timestamps were out of order"),
        ([(1, 6 * MS)], "timestamps exceed the wall clock"),
    ],
    ids=["none", "no end", "no start", "backward", "standing", "passes swapped", "overlapping", "too long"],
)
def test_stamps_that_cannot_be_true_are_not_believed(pairs: list[tuple[float, float]], fault: str) -> None:
    assert judge(stamps(*pairs), 5 * MS) == TimedSample(5 * MS, None, fault)


def test_the_clocks_may_differ_by_their_grain() -> None:
    assert judge(stamps((1, 1 + 1.009 * 5 * MS)), 5 * MS).gpu_ns is not None
    assert judge(stamps((1, 1 + 5 * MS + 100_000)), 5 * MS).gpu_ns is None
    assert judge(stamps((1, 25_001)), 10_000).gpu_ns is not None


def test_a_pass_may_begin_when_the_last_one_ends() -> None:
    assert judge(stamps((1, MS), (MS, 2 * MS)), 5 * MS).gpu_ns == pytest.approx(2 * MS)
