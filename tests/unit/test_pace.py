import pytest

from rusty_py.runtime.throughput import SUBMISSION_SECONDS, Pace


@pytest.mark.parametrize("kind", ["CPU", "IntegratedGPU", "DiscreteGPU", "Unknown", "a new one"])
def test_a_first_submission_has_work_for_a_submission_at_the_guess(kind: str) -> None:
    pace = Pace(kind)
    assert pace.flops("tiled") == int(SUBMISSION_SECONDS * pace.rate("tiled")) > 0


def test_the_slower_the_kind_the_more_cautious_the_guess() -> None:
    guesses = [Pace(kind).rate("tiled") for kind in ("CPU", "IntegratedGPU", "DiscreteGPU")]
    assert guesses == sorted(guesses)
    assert Pace("Unknown").rate("tiled") == Pace("IntegratedGPU").rate("tiled")


def test_the_first_run_compiles_and_is_not_believed() -> None:
    pace = Pace("CPU")
    before = pace.rate("tiled")
    pace.observe("tiled", flops=10**12, seconds=1.0)
    assert pace.rate("tiled") == before


def test_the_second_run_is_believed() -> None:
    pace = Pace("CPU")
    for _ in range(2):
        pace.observe("tiled", flops=10**10, seconds=2.0)
    assert pace.rate("tiled") == 5e9
    assert pace.flops("tiled") == pytest.approx(5e9 * SUBMISSION_SECONDS)
    assert pace.flops("tiled", seconds=1.0) == pytest.approx(5e9)


def test_the_last_pace_counts() -> None:
    pace = Pace("CPU")
    for seconds in (1.0, 1.0, 4.0):
        pace.observe("tiled", flops=10**10, seconds=seconds)
    assert pace.rate("tiled") == 2.5e9


def test_what_is_mostly_launch_is_believed_to_be_no_slower_than_that() -> None:
    pace = Pace("CPU")
    for _ in range(3):
        pace.observe("tiled", flops=10**9, seconds=1e-3)
    assert pace.rate("tiled") == 1e12
    for flops, seconds in ((10**9, 1.5e-3), (pace.flops("tiled") // 20, 1.0)):
        pace.observe("tiled", flops=flops, seconds=seconds)
    assert pace.rate("tiled") == 1e12


def test_what_is_not_a_tenth_of_a_submission_is_not_believed() -> None:
    pace = Pace("CPU")
    before = pace.rate("tiled")
    for seconds in (1e-9, 1e-9, 1.0):
        pace.observe("tiled", flops=pace.flops("tiled") // 20, seconds=seconds)
    assert (pace.rate("tiled"), pace.knows("tiled")) == (before, False)


def test_each_kernel_has_a_pace_of_its_own() -> None:
    pace = Pace("CPU")
    before = pace.rate("naive")
    for _ in range(2):
        pace.observe("tiled", flops=10**10, seconds=1.0)
    assert pace.rate("naive") == before


def test_there_is_always_some_work_in_a_submission() -> None:
    assert Pace("CPU").flops("tiled", seconds=0.0) == 1
