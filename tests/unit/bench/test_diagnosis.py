from dataclasses import replace

import pytest

from rusty_py.bench.diagnosis import (
    against_reference,
    bound,
    choices,
    drift,
    exponents,
    faster,
    grade,
    growth,
    kernels,
    note,
    ranking,
    verdicts,
)
from rusty_py.bench.matmul_suite import problem, problem_of
from rusty_py.bench.shapes import Size
from rusty_py.dtypes import F16
from rusty_py.measure.document import BenchProblem, BenchRun, Ceilings, Result, Row

from .runs import MS, around, by_wall, matmul, numpy, run, skipped

# 268 MFLOP in 1 ms, and 8 times as many, are 268 GFLOPS: far below the ceiling of 3,579.
SMALL = matmul(512, "tile 16", [1.0])


def found(whole: BenchRun, n: int, by: str) -> tuple[Result, Row, BenchRun]:
    """The result of a kernel at n cubed, with its row and its run."""
    row = whole.row(problem(n, n, n).name)
    assert row is not None
    result = row.result(by)
    assert result is not None
    return result, row, whole


def noted(whole: BenchRun, n: int, by: str = "tile 16") -> str:
    return note(*found(whole, n, by))


@pytest.mark.parametrize(
    ("ms", "said"),
    [(8.0, "levelled off"), (7.4, "levelled off"), (8.7, "levelled off"), (7.2, "gains with size")],
)
def test_a_rate_is_compared_with_that_at_smaller_sizes(ms: float, said: str) -> None:
    assert noted(run(SMALL, matmul(1024, "tile 16", [ms])), 1024) == said


def test_a_kernel_slower_than_at_a_smaller_size_says_by_how_much() -> None:
    large = matmul(1024, "tile 16", [16.0])
    assert noted(run(SMALL, large), 1024) == "50% of its rate at 512×512×512"


def test_the_smallest_size_gains_if_a_larger_one_does() -> None:
    assert noted(run(SMALL, matmul(1024, "tile 16", [7.0])), 512) == "gains with size"
    assert noted(run(SMALL, matmul(1024, "tile 16", [8.0])), 512) == ""


def test_rates_are_compared_between_equal_dtypes_and_layouts() -> None:
    transposed = matmul(problem_of(Size(1024, 1024, 1024, layout="nt")), "tile 16", [16.0])
    whole = run(SMALL, transposed)
    row = whole.rows[1]
    assert note(row.results[0], row, whole) == ""


def test_more_than_half_of_the_arithmetic_ceiling_is_compute_bound() -> None:
    whole = run(matmul(512, "tile 16", [0.1]))  # 2,684 GFLOPS.
    assert noted(whole, 512) == "compute-bound"
    assert bound(*found(whole, 512, "tile 16")) == "compute"


def test_a_run_of_a_few_empty_launches_is_launch_bound() -> None:
    short = matmul(64, "tile 16", [0.02])
    assert noted(run(short), 64) == "launch-bound"
    assert noted(run(short, ceilings=Ceilings(3579.0, {}, 3000.0)), 64) == ""


def test_a_rate_near_a_roofline_of_bandwidth_is_memory_bound() -> None:
    low = matmul(512, "tile 16", [1.0], roofline_gflops=300.0)
    nbytes, flops = low.problem.nbytes, low.problem.flops
    copying = Ceilings(3579.0, {nbytes: 300.0 * nbytes / flops}, 1.0)
    assert noted(run(low, ceilings=copying), 512) == "memory-bound"
    assert noted(run(matmul(512, "tile 16", [1.0], roofline_gflops=1000.0)), 512) == ""


def test_a_run_without_ceilings_has_no_bounds() -> None:
    assert bound(*found(run(matmul(64, "tile 16", [0.02]), ceilings=None), 64, "tile 16")) == ""


def test_the_fastest_of_a_size_is_best() -> None:
    whole = run(matmul(512, "tile 8", [2.0]), matmul(512, "tile 16", [1.0]), numpy(512, [0.1]))
    assert noted(whole, 512, "tile 16") == "best"
    assert noted(whole, 512, "tile 8") == ""


def test_the_only_one_of_its_size_is_not_called_best() -> None:
    whole = run(matmul(512, "tile 8", [2.0]), numpy(512, [3.0]), matmul(1024, "tile 16", [1.0]))
    assert noted(whole, 512, "tile 8") == ""


def test_best_and_what_bounds_it_stand_together() -> None:
    whole = run(matmul(64, "tile 8", [0.02]), matmul(64, "tile 16", [0.01]))
    assert noted(whole, 64, "tile 16") == "best, launch-bound"


def test_only_measured_kernels_are_ranked() -> None:
    whole = run(
        matmul(512, "tile 8", [2.0]),
        matmul(512, "tile 32", [0.1], verdict="rejected", reason="too fast"),
        matmul(512, "tile 16", [1.0]),
        numpy(512, [0.1]),
    )
    assert [each.by for each in ranking(whole.rows[0])] == ["tile 16", "tile 8"]
    assert [each.by for each in kernels(whole.rows[0])] == ["tile 8", "tile 32", "tile 16"]


def test_what_is_measured_end_to_end_is_not_ranked_among_kernels() -> None:
    whole = run(matmul(512, "tile 8", [2.0]))
    (row,) = whole.rows
    whole_call = replace(row.results[0], by="ours", scope="end to end")
    assert kernels(replace(row, results=(*row.results, whole_call))) == list(row.results)


def test_a_clear_winner_is_outside_the_noise() -> None:
    whole = run(matmul(512, "tile 8", around(2.0)), matmul(512, "tile 16", around(1.0)))
    (line,) = verdicts(whole)
    assert line == (
        "512×512×512: tile 16 is 2.00 times as fast as tile 8 (95 % interval 2.00 to 2.00), outside the noise"
    )


def test_two_alike_are_within_the_noise() -> None:
    times = [1.0, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97]
    whole = run(matmul(512, "tile 8", times), matmul(512, "tile 16", times[::-1]))
    (line,) = verdicts(whole)
    assert line.endswith(", within the noise")


def test_a_few_samples_tell_no_winner() -> None:
    whole = run(matmul(512, "tile 8", around(2.0, 4)), matmul(512, "tile 16", around(1.0, 4)))
    assert verdicts(whole) == ["512×512×512: tile 16 was fastest; too few samples to tell it from tile 8"]


def test_every_size_with_two_kernels_has_a_verdict() -> None:
    whole = run(
        matmul(64, "tile 8", around(2.0)),
        matmul(64, "tile 16", around(1.0)),
        matmul(512, "tile 8", around(2.0)),
        numpy(512, around(3.0)),
        matmul(1024, "tile 8", around(1.0)),
        matmul(1024, "naive", around(3.0)),
    )
    assert [line.partition(":")[0] for line in verdicts(whole)] == ["64×64×64", "1024×1024×1024"]


def test_kernels_are_compared_by_the_clock_of_the_run() -> None:
    whole = run(matmul(512, "tile 8", around(1.0)), matmul(512, "tile 16", around(2.0)))
    by_gpu = verdicts(whole)
    assert "2.00 times" in by_gpu[0]
    assert verdicts(by_wall(whole)) == by_gpu  # The wall clock is 10 % above the GPU's in both.


def test_a_round_cut_short_leaves_a_verdict_on_the_rounds_before() -> None:
    whole = run(
        matmul(512, "tile 8", around(2.0, 8)), matmul(512, "tile 16", around(1.0, 7)), interrupted=True
    )
    (line,) = verdicts(whole)
    assert "tile 16 is 2.00 times as fast as tile 8" in line


def test_few_rounds_show_no_drift() -> None:
    assert drift(run(drift_control_ns=[MS] * 5)) == ""


@pytest.mark.parametrize(("last", "said"), [(1.0, "+0.0%"), (1.04, "+4.0%"), (0.97, "-3.0%")])
def test_drift_is_the_change_from_the_first_third_to_the_last(last: float, said: str) -> None:
    line = drift(run(drift_control_ns=[MS] * 4 + [last * MS] * 2))
    assert line == f"drift: the control kernel's time changed by {said} over 6 rounds"


def test_notable_drift_comes_with_a_warning() -> None:
    line = drift(run(drift_control_ns=[MS] * 4 + [1.2 * MS] * 2))
    assert line.endswith(
        "by +20.0% over 6 rounds; kernels are compared round by round, but compare sizes with care"
    )


def test_the_plan_of_auto_is_listed_for_each_size_also_where_it_was_skipped() -> None:
    whole = run(
        matmul(512, "auto", [1.0], plan="512: blocked"),
        matmul(512, "tile 8", [1.0]),
        skipped(4096, "auto", "needs about 90 s", plan="4096: blocked"),
        skipped(8192, "auto", "the budget is used up"),
    )
    assert choices(whole) == ["auto: 512: blocked", "auto: 4096: blocked"]


def test_a_variant_is_compared_with_itself_whatever_kernels_it_takes() -> None:
    whole = run(matmul(512, "auto", [1.0]), matmul(1024, "auto", [16.0]))
    for row, kernel in zip(whole.rows, ("matmul/register_tiled_cpu", "matmul/blocked"), strict=True):
        whole.rows[whole.rows.index(row)] = replace(row, results=(replace(row.results[0], kernel=kernel),))
    assert noted(whole, 1024, "auto") == "50% of its rate at 512×512×512"


def test_f16_accumulators_are_compute_bound_against_twice_the_ceiling_of_f32() -> None:
    halves = problem_of(Size(512, 512, 512), dtype=F16, accumulate_dtype=F16)
    fast = matmul(halves, "auto", [0.05], roofline_gflops=7158.0)  # 5,369 GFLOPS.
    copying = Ceilings(3579.0, {halves.nbytes: 30.0}, 1.0)  # Allows 5,120.
    assert noted(run(fast, ceilings=copying), 512, "auto") == "memory-bound"
    faster_copies = replace(copying, copy_gbps={halves.nbytes: 45.0})
    assert noted(run(fast, ceilings=faster_copies), 512, "auto") == "compute-bound"


def test_growth_is_the_time_divided_by_that_at_the_next_smaller_size() -> None:
    whole = run(matmul(1024, "tile 16", [9.0]), SMALL, matmul(256, "tile 8", [0.1]))
    assert growth(*found(whole, 1024, "tile 16")) == 9.0
    assert growth(*found(whole, 512, "tile 16")) is None  # No such kernel at 256.
    assert growth(*found(whole, 256, "tile 8")) is None


def test_the_exponent_of_time_is_that_of_the_kernel_which_is_fastest_at_the_largest_size() -> None:
    sizes = (256, 512, 1024)
    whole = run(
        *(matmul(n, "tile 16", [1e-6 * (2 * n**3) ** 0.9]) for n in sizes),
        *(matmul(n, "tile 8", [1e-6 * (2 * n**3) ** 1.0]) for n in sizes),
    )
    assert exponents(whole) == ["matmul, tile 16: time grows as work to the power of 0.90"]


def test_two_sizes_and_shapes_that_do_not_grow_have_no_exponent() -> None:
    two = run(matmul(512, "tile 16", [1.0]), matmul(1024, "tile 16", [8.0]))
    shapes = (Size(4096, 64, 64), Size(512, 512, 512), Size(64, 4096, 4096))
    assert (
        exponents(two) == exponents(run(*(matmul(problem_of(each), "auto", [1.0]) for each in shapes))) == []
    )


def test_sizes_at_which_a_kernel_is_launch_bound_do_not_count_for_the_exponent() -> None:
    whole = run(
        *(matmul(n, "tile 16", [0.01]) for n in (16, 32, 64)),
        *(matmul(n, "tile 16", [1.0 * n]) for n in (512, 1024)),
    )
    assert exponents(whole) == []


def test_sizes_at_which_the_reference_is_faster_are_listed() -> None:
    whole = run(
        *(matmul(n, "tile 16", [1.0]) for n in (64, 512, 1024)),
        *(numpy(n, [ms]) for n, ms in ((64, 0.5), (512, 2.0), (1024, 0.9))),
    )
    assert against_reference(whole) == ["matmul: the kernel is slower than NumPy at 64×64×64, 1024×1024×1024"]
    assert against_reference(run(SMALL)) == []


@pytest.mark.parametrize(
    ("share", "word"),
    [(1.02, "excellent"), (0.75, "excellent"), (0.74, "good"), (0.49, "fair"), (0.24, "poor"), (0.0, "poor")],
)
def test_grades_are_shares_of_the_ceiling(share: float, word: str) -> None:
    assert grade(share) == word


def test_two_results_are_compared_sample_by_sample_where_both_were_measured() -> None:
    whole = run(matmul(512, "tile 8", around(2.0)), matmul(512, "tile 16", around(1.0)))
    slow, fast = whole.rows[0].results
    assert faster(slow, fast) == "2 times as fast (95 % interval 2 to 2)"
    assert faster(slow, None) == faster(None, fast) == ""
    few = run(matmul(512, "tile 8", [2.0]), matmul(512, "tile 16", [1.0]))
    assert faster(*few.rows[0].results) == "2 times as fast"


def test_work_is_bytes_where_nothing_is_computed() -> None:
    def copied(nbytes: int, ms: float) -> Row:
        described = BenchProblem("copy", str(nbytes), {"n": nbytes // 8}, "f32", read_bytes=nbytes)
        return replace(matmul(512, "copy", [ms]), problem=described)

    whole = run(*(copied(1 << i, 2.0 ** (i - 20)) for i in (20, 21, 22)))
    assert exponents(whole) == ["copy, copy: time grows as work to the power of 1.00"]
    assert growth(whole.rows[2].results[0], whole.rows[2], whole) == 2.0
