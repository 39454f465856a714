import pytest

from rusty_py.measure.guard import TOLERANCE, rejection, roof_gflops

CEILING = 3_579.0  # GFLOPS; what a GPU with four rates to its name can do.


class Again:
    """A second measurement, and how often it was asked for."""

    def __init__(self, gflops: float, roof: float = CEILING) -> None:
        self.answer = gflops, roof
        self.calls = 0

    def __call__(self) -> tuple[float, float]:
        self.calls += 1
        return self.answer


@pytest.mark.parametrize("gflops", [83, 600, 2_688, CEILING])
def test_a_rate_under_the_ceiling_stands_and_is_not_measured_again(gflops: float) -> None:
    again = Again(gflops)
    assert rejection(gflops, CEILING, again=again) == ("", CEILING)
    assert again.calls == 0


def test_a_rate_of_three_times_the_ceiling_is_refused_after_a_second_measurement() -> None:
    again = Again(11_767)
    reason, roof = rejection(11_767, CEILING, again=again)
    assert again.calls == 1
    assert roof == CEILING
    assert reason == ("11,767 GFLOPS is 329% of what this machine can do, 3,579; both were measured twice")


def test_a_ceiling_taken_at_a_slow_moment_is_mended() -> None:
    assert rejection(3_500, 3_000, again=Again(3_500, CEILING)) == ("", CEILING)


def test_a_rate_just_above_the_ceiling_is_within_the_tolerance() -> None:
    assert rejection(3_600, CEILING, again=Again(TOLERANCE * CEILING)) == ("", CEILING)
    reason, _ = rejection(3_600, CEILING, again=Again(TOLERANCE * CEILING + 1))
    assert "110% of what this machine can do" in reason


def test_a_ceiling_that_falls_on_the_second_look_counts() -> None:
    reason, roof = rejection(4_000, CEILING, again=Again(4_000, 1_000))
    assert roof == 1_000
    assert "400% of what this machine can do, 1,000" in reason


def test_the_roof_is_arithmetic_for_large_products() -> None:
    n = 4096
    roof = roof_gflops(fma_gflops=CEILING, copy_gbps=100, flops=2 * n**3, nbytes=12 * n**2)
    assert roof == CEILING


def test_the_roof_is_bandwidth_for_small_products() -> None:
    n = 32
    roof = roof_gflops(fma_gflops=CEILING, copy_gbps=100, flops=2 * n**3, nbytes=12 * n**2)
    assert roof == pytest.approx(100 * n / 6)
