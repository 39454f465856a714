import pytest

from rusty_py.runtime.throughput import SUBMISSION_SECONDS, Throughput


@pytest.mark.parametrize("kind", ["CPU", "IntegratedGPU", "DiscreteGPU", "Unknown", "a new one"])
def test_a_first_submission_has_work_for_a_submission_at_the_guess(kind: str) -> None:
    throughput = Throughput(kind)
    assert throughput.flops("tiled") == int(SUBMISSION_SECONDS * throughput.rate("tiled")) > 0


def test_the_slower_the_kind_the_more_cautious_the_guess() -> None:
    guesses = [Throughput(kind).rate("tiled") for kind in ("CPU", "IntegratedGPU", "DiscreteGPU")]
    assert guesses == sorted(guesses)
    assert Throughput("Unknown").rate("tiled") == Throughput("IntegratedGPU").rate("tiled")


def test_the_first_run_compiles_and_is_not_believed() -> None:
    throughput = Throughput("CPU")
    before = throughput.rate("tiled")
    throughput.observe("tiled", flops=10**12, seconds=1.0)
    assert throughput.rate("tiled") == before


def test_the_second_run_is_believed() -> None:
    throughput = Throughput("CPU")
    for _ in range(2):
        throughput.observe("tiled", flops=10**10, seconds=2.0)
    assert throughput.rate("tiled") == 5e9
    assert throughput.flops("tiled") == pytest.approx(5e9 * SUBMISSION_SECONDS)
    assert throughput.flops("tiled", seconds=1.0) == pytest.approx(5e9)


def test_the_last_pace_counts() -> None:
    throughput = Throughput("CPU")
    for seconds in (1.0, 1.0, 4.0):
        throughput.observe("tiled", flops=10**10, seconds=seconds)
    assert throughput.rate("tiled") == 2.5e9


def test_what_is_mostly_launch_is_believed_to_be_no_slower_than_that() -> None:
    throughput = Throughput("CPU")
    for _ in range(3):
        throughput.observe("tiled", flops=10**9, seconds=1e-3)
    assert throughput.rate("tiled") == 1e12
    for flops, seconds in ((10**9, 1.5e-3), (throughput.flops("tiled") // 20, 1.0)):
        throughput.observe("tiled", flops=flops, seconds=seconds)
    assert throughput.rate("tiled") == 1e12


def test_what_is_not_a_tenth_of_a_submission_is_not_believed() -> None:
    throughput = Throughput("CPU")
    before = throughput.rate("tiled")
    for seconds in (1e-9, 1e-9, 1.0):
        throughput.observe("tiled", flops=throughput.flops("tiled") // 20, seconds=seconds)
    assert (throughput.rate("tiled"), throughput.knows("tiled")) == (before, False)


def test_each_kernel_has_a_pace_of_its_own() -> None:
    throughput = Throughput("CPU")
    before = throughput.rate("naive")
    for _ in range(2):
        throughput.observe("tiled", flops=10**10, seconds=1.0)
    assert throughput.rate("naive") == before


def test_there_is_always_some_work_in_a_submission() -> None:
    assert Throughput("CPU").flops("tiled", seconds=0.0) == 1
