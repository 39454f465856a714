"""The ceilings of a run: which of them a problem meets first."""

import math
from dataclasses import replace

import pytest

from rusty_py.bench.run import Ceilings
from rusty_py.bench.suites.matmul import problem

CEILING = 3_579.0


def test_the_roofline_is_arithmetic_for_large_products() -> None:
    large = problem(4096, 4096, 4096)
    figures = Ceilings(CEILING, {large.bytes: 100.0}, 1.0)
    assert figures.roofline_gflops(large) == figures.arithmetic_gflops(large) == CEILING


def test_the_roofline_is_bandwidth_for_small_products() -> None:
    small = problem(32, 32, 32)
    figures = Ceilings(CEILING, {small.bytes: 100.0}, 1.0)
    assert figures.roofline_gflops(small) == pytest.approx(100 * 32 / 6)


def test_half_of_what_a_square_product_reads_is_read_alone() -> None:
    small = problem(32, 32, 32)
    figures = Ceilings(CEILING, {small.bytes: 100.0}, 1.0, {small.bytes: 200.0})
    matrix = 4 * 32 * 32
    assert figures.memory_gflops(small) == pytest.approx(small.flops / (2 * matrix / 100 + matrix / 200))


def test_f16_sums_go_at_twice_the_arithmetic_of_f32() -> None:
    halves = replace(problem(512, 512, 512), dtype="f16", sums="f16")
    assert Ceilings(CEILING, {}, 1.0).arithmetic_gflops(halves) == 2 * CEILING


def test_memory_that_was_not_measured_sets_no_limit() -> None:
    assert Ceilings(CEILING, {}, 1.0).memory_gflops(problem(32, 32, 32)) == math.inf
