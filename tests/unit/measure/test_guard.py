import pytest

from rusty_py.measure.guard import TOLERANCE, memory_ns, rejection

CEILING = 3_579.0  # GFLOPS of a GPU with four cores.
FLOPS = 2 * 512**3


def ns(gflops: float) -> float:
    return FLOPS / gflops


class Again:
    """A second measurement, and how often it was asked for."""

    def __init__(self, gflops: float, ceiling: float = CEILING) -> None:
        self.answer = ns(gflops), ns(ceiling)
        self.calls = 0

    def __call__(self) -> tuple[float, float]:
        self.calls += 1
        return self.answer


@pytest.mark.parametrize("gflops", [83, 600, 2_688, CEILING])
def test_a_rate_under_the_ceiling_stands_and_is_not_measured_again(gflops: float) -> None:
    again = Again(gflops)
    assert rejection(ns(gflops), ns(CEILING), again=again) == ("", ns(CEILING))
    assert again.calls == 0


def test_a_rate_of_three_times_the_ceiling_is_refused_after_a_second_measurement() -> None:
    again = Again(11_767)
    reason, roofline = rejection(ns(11_767), ns(CEILING), again=again)
    assert again.calls == 1
    assert roofline == ns(CEILING)
    assert (
        reason == "22.8 us is 329% of the rate that this machine can reach, 75 us; both were measured twice"
    )


def test_a_ceiling_taken_at_a_slow_moment_is_corrected() -> None:
    assert rejection(ns(3_500), ns(3_000), again=Again(3_500, CEILING)) == ("", ns(CEILING))


def test_a_rate_just_above_the_ceiling_is_within_the_tolerance() -> None:
    assert rejection(ns(3_600), ns(CEILING), again=Again(TOLERANCE * CEILING - 1e-6)) == ("", ns(CEILING))
    reason, _ = rejection(ns(3_600), ns(CEILING), again=Again(TOLERANCE * CEILING + 1))
    assert "110% of the rate that this machine can reach" in reason


def test_the_faster_of_two_measurements_counts() -> None:
    reason, _ = rejection(ns(11_767), ns(CEILING), again=Again(2_000))
    assert "329% of the rate" in reason


def test_a_ceiling_that_falls_on_the_second_look_counts() -> None:
    reason, roofline = rejection(ns(4_000), ns(CEILING), again=Again(4_000, 1_000))
    assert roofline == ns(1_000)
    assert "400% of the rate that this machine can reach, 268 us" in reason


@pytest.mark.parametrize(
    ("read", "written", "expected"),
    [
        (1000, 0, 1000 / 50),
        (900, 100, 200 / 40 + 800 / 50),
        (500, 500, 1000 / 40),
        (100, 900, 1000 / 40),
        (0, 1000, 1000 / 40),
    ],
)
def test_reads_go_at_the_rate_of_a_copy_as_far_as_there_are_writes(
    read: int, written: int, expected: float
) -> None:
    minimum = memory_ns(copy_gbps=40, read_gbps=50, read_bytes=read, written_bytes=written)
    assert minimum == pytest.approx(expected)


def test_reads_are_taken_to_be_no_slower_than_a_copy() -> None:
    assert memory_ns(copy_gbps=40, read_gbps=10, read_bytes=900, written_bytes=100) == 1000 / 40
