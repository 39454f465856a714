from dataclasses import replace

import pytest

from rusty_py.bench.diagnosis import choices, drift, note, ranking, verdicts
from rusty_py.bench.run import Ceilings, Skipped
from rusty_py.measure.case import Verification

from .runs import MS, around, matmul, result, run

# 268 MFLOP in 1 ms, and 8 times as many, are 268 GFLOPS: far below the ceiling of 3,579.
SMALL = result(matmul(512, 16), [1.0])


@pytest.mark.parametrize(
    ("ms", "said"),
    [(8.0, "levelled off"), (7.4, "levelled off"), (8.7, "levelled off"), (7.2, "gains with size")],
)
def test_a_rate_is_compared_with_that_at_smaller_sizes(ms: float, said: str) -> None:
    large = result(matmul(1024, 16), [ms])
    assert note(large, run(SMALL, large)) == said


def test_a_kernel_slower_than_at_a_smaller_size_says_by_how_much() -> None:
    large = result(matmul(1024, 16), [16.0])
    assert note(large, run(SMALL, large)) == "50% of its rate at 512×512×512"


def test_the_smallest_size_gains_if_a_larger_one_does() -> None:
    assert note(SMALL, run(SMALL, result(matmul(1024, 16), [7.0]))) == "gains with size"
    assert note(SMALL, run(SMALL, result(matmul(1024, 16), [8.0]))) == ""


def test_more_than_half_of_the_arithmetic_ceiling_is_compute_bound() -> None:
    fast = result(matmul(512, 16), [0.1])  # 2,684 GFLOPS.
    assert note(fast, run(fast)) == "compute-bound"


def test_a_run_of_a_few_empty_launches_is_launch_bound() -> None:
    short = result(matmul(64, 16), [0.02])
    assert note(short, run(short)) == "launch-bound"
    assert note(short, run(short, ceilings=Ceilings(3579.0, {}, 3000.0))) == ""


def test_a_rate_near_a_roof_of_bandwidth_is_memory_bound() -> None:
    low = result(matmul(512, 16), [1.0], roof_gflops=300.0)
    copying = Ceilings(
        3579.0, {low.case.problem.bytes: 300.0 * low.case.problem.bytes / low.case.problem.flops}, 1.0
    )
    assert note(low, run(low, ceilings=copying)) == "memory-bound"
    far = result(matmul(512, 16), [1.0], roof_gflops=1000.0)
    assert note(far, run(far)) == ""


def test_the_fastest_of_a_size_is_best() -> None:
    slow, fast = result(matmul(512, 8), [2.0]), result(matmul(512, 16), [1.0])
    whole = run(slow, fast)
    assert note(fast, whole) == "best"
    assert note(slow, whole) == ""


def test_the_only_one_of_its_size_is_not_called_best() -> None:
    alone = result(matmul(512, 8), [2.0])
    assert note(alone, run(alone, result(matmul(1024, 16), [1.0]))) == ""


def test_best_and_what_bounds_it_stand_together() -> None:
    slow, fast = result(matmul(64, 8), [0.02]), result(matmul(64, 16), [0.01])
    assert note(fast, run(slow, fast)) == "best, launch-bound"


def test_a_wrong_row_notes_its_reason() -> None:
    wrong = result(
        matmul(512, 8), [], verdict="wrong", proof=Verification("", fault="x"), reason="x is wrong"
    )
    assert note(wrong, run(wrong)) == "x is wrong"


def test_only_measured_results_are_ranked() -> None:
    slow, fast = result(matmul(512, 8), [2.0]), result(matmul(512, 16), [1.0])
    wrong = result(matmul(512, 32), [0.1], verdict="rejected", reason="too fast")
    assert ranking([slow, wrong, fast]) == [fast, slow]


def test_a_clear_winner_is_outside_the_noise() -> None:
    whole = run(result(matmul(512, 8), around(2.0)), result(matmul(512, 16), around(1.0)))
    (line,) = verdicts(whole)
    assert line == (
        "512×512×512: tile 16 is 2.00 times as fast as tile 8 (95 % interval 2.00 to 2.00), outside the noise"
    )


def test_two_alike_are_within_the_noise() -> None:
    times = [1.0, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97]
    whole = run(result(matmul(512, 8), times), result(matmul(512, 16), times[::-1]))
    (line,) = verdicts(whole)
    assert line.endswith(", within the noise")


def test_a_few_samples_tell_no_winner() -> None:
    whole = run(result(matmul(512, 8), around(2.0, 4)), result(matmul(512, 16), around(1.0, 4)))
    assert verdicts(whole) == ["512×512×512: tile 16 was fastest; too few samples to tell it from tile 8"]


def test_every_size_with_two_kernels_has_a_verdict() -> None:
    whole = run(
        result(matmul(64, 8), around(2.0)),
        result(matmul(64, 16), around(1.0)),
        result(matmul(512, 8), around(2.0)),
        result(matmul(1024, 8), around(1.0)),
        result(matmul(1024, "naive"), around(3.0)),
    )
    assert [line.partition(":")[0] for line in verdicts(whole)] == ["64×64×64", "1024×1024×1024"]


def test_kernels_are_compared_by_the_clock_of_the_run() -> None:
    fast, slow = result(matmul(512, 8), around(1.0)), result(matmul(512, 16), around(2.0))
    by_gpu, by_wall = verdicts(run(fast, slow)), verdicts(run(fast, slow, clock="wall"))
    assert "2.00 times" in by_gpu[0]
    assert by_wall == by_gpu  # The wall clock is 10 % above the GPU's in both.


def test_a_round_cut_short_leaves_a_verdict_on_the_rounds_before() -> None:
    whole = run(
        result(matmul(512, 8), around(2.0, 8)), result(matmul(512, 16), around(1.0, 7)), interrupted=True
    )
    (line,) = verdicts(whole)
    assert "tile 16 is 2.00 times as fast as tile 8" in line


def test_few_rounds_show_no_drift() -> None:
    assert drift(run(anchors_ns=[MS] * 5)) == ""


@pytest.mark.parametrize(("last", "said"), [(1.0, "+0.0%"), (1.04, "+4.0%"), (0.97, "-3.0%")])
def test_drift_is_the_change_from_the_first_third_to_the_last(last: float, said: str) -> None:
    line = drift(run(anchors_ns=[MS] * 4 + [last * MS] * 2))
    assert line == f"drift: the control kernel's time changed by {said} over 6 rounds"


def test_notable_drift_comes_with_a_warning() -> None:
    line = drift(run(anchors_ns=[MS] * 4 + [1.2 * MS] * 2))
    assert line.endswith(
        "by +20.0% over 6 rounds; kernels are compared round by round, but compare sizes with care"
    )


def test_what_auto_chose_is_told_for_each_size_also_where_it_was_skipped() -> None:
    small, large = (replace(matmul(n, "auto"), plan=f"{n}: blocked") for n in (512, 4096))
    whole = run(
        result(small, [1.0]),
        result(matmul(512, 8), [1.0]),
        skipped=[Skipped(large, "needs about 90 s"), Skipped(matmul(8192, "auto"), "the budget is used up")],
    )
    assert choices(whole) == ["auto: 512: blocked", "auto: 4096: blocked"]


def test_a_variant_is_compared_with_itself_whatever_kernels_it_takes() -> None:
    small, large = (
        result(replace(matmul(n, "auto"), kernel=kernel), [ms])
        for n, kernel, ms in ((512, "matmul/register_tiled_cpu", 1.0), (1024, "matmul/blocked", 16.0))
    )
    assert note(large, run(small, large)) == "50% of its rate at 512×512×512"


def test_f16_sums_are_compute_bound_against_twice_the_ceiling_of_f32() -> None:
    case = matmul(512, "auto")
    case = replace(case, problem=replace(case.problem, dtype="f16", sums="f16"))
    fast = result(case, [0.05], roof_gflops=7158.0)  # 5,369 GFLOPS.
    copying = Ceilings(3579.0, {case.problem.bytes: 60.0}, 1.0)  # Allows 5,120.
    assert note(fast, run(fast, ceilings=copying)) == "memory-bound"
    assert (
        note(fast, run(fast, ceilings=replace(copying, copy_gbps={case.problem.bytes: 90.0})))
        == "compute-bound"
    )
