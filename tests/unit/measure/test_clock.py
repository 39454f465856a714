"""Which clock is read, and why; a script plays the timer."""

import pytest

from rusty_py.measure.clock import Clock, check_clock, compare_clocks
from rusty_py.runtime.timing import TimedSample

MS = 1e6  # In nanoseconds.


def test_clocks_that_agree_let_the_gpu_be_trusted() -> None:
    clock = compare_clocks(TimedSample(11 * MS, 10 * MS), TimedSample(21 * MS, 20 * MS))
    assert clock == Clock("gpu", "timestamps agree with the wall clock within 0.0%")


@pytest.mark.parametrize(
    ("once", "twice", "reason"),
    [
        (TimedSample(10 * MS, None, "no timestamps"), TimedSample(20 * MS, 20 * MS), "no timestamps"),
        (
            TimedSample(10 * MS, 10 * MS),
            TimedSample(20 * MS, None, "timestamps were 0"),
            "timestamps were 0",
        ),
        (
            TimedSample(10 * MS, 10 * MS),
            TimedSample(20 * MS, 10 * MS),
            "twice the work took 1.00 times as long by timestamps",
        ),
        (
            TimedSample(10 * MS, 5 * MS),
            TimedSample(20 * MS, 20 * MS),
            "twice the work took 4.00 times as long by timestamps",
        ),
        (
            TimedSample(1000 * MS, 10 * MS),
            TimedSample(2000 * MS, 20 * MS),
            "timestamps ran at 0.01 times the wall clock",
        ),
        (
            TimedSample(50 * MS, 20 * MS),
            TimedSample(55 * MS, 40 * MS),
            "timestamps ran at 4.00 times the wall clock",
        ),
    ],
    ids=["absent", "faulty", "not doubling", "more than doubling", "wrong scale", "faster than time"],
)
def test_clocks_that_disagree_leave_the_wall_clock_and_say_why(
    once: TimedSample, twice: TimedSample, reason: str
) -> None:
    assert compare_clocks(once, twice) == Clock("wall", reason)


def test_a_wall_clock_that_stood_still_is_a_disagreement_and_no_crash() -> None:
    assert compare_clocks(TimedSample(10 * MS, 5 * MS), TimedSample(10 * MS, 10 * MS)).name == "wall"


def test_a_clock_reads_its_own_time_of_a_sample() -> None:
    sample = TimedSample(wall_ns=3.0, gpu_ns=2.0)
    assert Clock("gpu", "").ns(sample) == 2.0
    assert Clock("wall", "").ns(sample) == 3.0
    assert Clock("gpu", "").ns(TimedSample(3.0, None)) == 3.0


class FakeTimer:
    """Times work of 1 ms a launch on a device whose timestamps run at `scale` of the wall clock."""

    def __init__(self, scale: float | None, *, spoiled: int = 0) -> None:
        self.scale, self.spoiled = scale, spoiled
        self.sizes: list[int] = []

    def sample(self, submissions: list[list[object]]) -> TimedSample:
        count = sum(map(len, submissions))
        self.sizes.append(count)
        wall_ns = count * MS + 0.05 * MS
        if self.scale is None:
            return TimedSample(wall_ns, None, "no timestamps")
        if self.spoiled and count >= 32:
            self.spoiled -= 1
            return TimedSample(wall_ns, count * MS * 3)
        return TimedSample(wall_ns, count * MS * self.scale)


def test_the_clock_is_checked_with_work_that_lasts_and_with_twice_of_it() -> None:
    timer = FakeTimer(scale=1.0)
    assert check_clock(timer, object(), at_least_s=0.02).name == "gpu"
    assert timer.sizes == [1, 2, 4, 8, 16, 32, *[32] * 3, *[64] * 3]


def test_a_clock_of_the_wrong_scale_fails_three_times_and_is_left() -> None:
    timer = FakeTimer(scale=0.5)
    clock = check_clock(timer, object(), at_least_s=0.02)
    assert clock == Clock("wall", "timestamps ran at 0.50 times the wall clock")
    assert timer.sizes.count(64) == 9


def test_one_spoiled_trial_does_not_condemn_the_clock() -> None:
    assert check_clock(FakeTimer(scale=1.0, spoiled=7), object(), at_least_s=0.02).name == "gpu"


def test_without_timestamps_the_wall_clock_is_left() -> None:
    assert check_clock(FakeTimer(scale=None), object(), at_least_s=0.02) == Clock("wall", "no timestamps")
