"""The result document: the ceilings that a problem meets first, samples in columns, figures by name."""

import math

import pytest

from rusty_py.bench.matmul_suite import problem, problem_of
from rusty_py.bench.shapes import Size
from rusty_py.dtypes import F16
from rusty_py.measure.document import (
    BenchProblem,
    BenchRun,
    Ceilings,
    Figure,
    Result,
    Row,
    Samples,
    Timed,
    in_columns,
    skipped_row,
)
from rusty_py.measure.stats import summarise

CEILING = 3_579.0


def test_the_roofline_is_arithmetic_for_large_products() -> None:
    large = problem(4096, 4096, 4096)
    ceilings = Ceilings(CEILING, {large.nbytes: 100.0}, 1.0)
    assert ceilings.minimum_ns(large) == ceilings.arithmetic_ns(large) == large.flops / CEILING


def test_the_roofline_is_bandwidth_for_small_products() -> None:
    small = problem(32, 32, 32)
    ceilings = Ceilings(CEILING, {small.nbytes: 100.0}, 1.0)
    assert small.flops / ceilings.minimum_ns(small) == pytest.approx(100 * 32 / 6)


def test_half_of_what_a_square_product_reads_is_read_alone() -> None:
    small = problem(32, 32, 32)
    ceilings = Ceilings(CEILING, {small.nbytes: 100.0}, 1.0, {small.nbytes: 200.0})
    matrix = 4 * 32 * 32
    assert ceilings.memory_ns(small) == pytest.approx(2 * matrix / 100 + matrix / 200)


def test_f16_accumulators_have_twice_the_arithmetic_ceiling_of_f32() -> None:
    halves = problem_of(Size(512, 512, 512), dtype=F16, accumulate_dtype=F16)
    assert Ceilings(CEILING, {}, 1.0).arithmetic_ns(halves) == halves.flops / (2 * CEILING)


def test_memory_that_was_not_measured_sets_no_limit() -> None:
    assert Ceilings(CEILING, {}, 1.0).memory_ns(problem(32, 32, 32)) == 0.0
    assert math.isfinite(Ceilings(CEILING, {}, 1.0).minimum_ns(problem(32, 32, 32)))


TIMED = [Timed(8.0, 4.0), Timed(10.0, None, fault="timestamps were 0")]


def test_samples_are_stored_in_columns_and_read_back_one_by_one() -> None:
    samples = in_columns(2, [0, 1], TIMED)
    assert samples == Samples(2, (0, 1), (8.0, 10.0), (4.0, None), (), ("", "timestamps were 0"))
    assert samples.each() == TIMED
    assert len(samples) == 2


def test_columns_without_values_are_empty() -> None:
    assert in_columns(1, [3], [Timed(cpu_ns=5.0)]) == Samples(1, (3,), cpu_ns=(5.0,))
    assert in_columns(1, [], []) == Samples()


def test_a_sample_is_divided_by_its_runs_and_by_the_wall_clock_where_the_gpu_s_is_missing() -> None:
    samples = in_columns(2, [0, 4], TIMED)
    assert samples.ns("gpu") == [2.0, 5.0]
    assert samples.ns("wall") == [4.0, 5.0]
    assert samples.by_round("gpu") == {0: 2.0, 4: 5.0}


def test_a_clock_that_was_not_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time by the cpu clock"):
        in_columns(1, [0], [Timed(8.0)]).ns("cpu")


def test_results_figures_and_rows_are_found_by_name() -> None:
    slow = Result("slow", "ok", stats=summarise([6.0]), figures=(Figure("GB/s", 2.5, "GB/s"),))
    fast = Result("fast", "ok", stats=summarise([2.0]))
    row = Row(BenchProblem("copy", "4 KiB"), (slow, fast, Result("broken", "wrong", reason="x")))
    run = BenchRun("transfer", {}, [row])
    assert run.row("4 KiB") is row
    assert run.row("8 KiB") is None
    assert (row.ratio("slow", "fast"), row.ratio("slow", "broken"), row.ratio("slow", "none")) == (
        3.0,
        None,
        None,
    )
    assert (slow.figure("GB/s"), slow.figure("GFLOPS")) == (2.5, None)
    assert run.results() == [(row, each) for each in row.results]


def test_a_skipped_row_names_the_implementations_and_the_reason() -> None:
    row = skipped_row(problem(8, 8, 8), "no room", by=("auto", "naive"), clock="gpu")
    assert [(each.by, each.verdict, each.clock, each.reason) for each in row.results] == [
        ("auto", "skipped", "gpu", "no room"),
        ("naive", "skipped", "gpu", "no room"),
    ]
    assert row.ns("auto") is None
