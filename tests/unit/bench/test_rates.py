"""From times to rates: the formulas behind the columns."""

import pytest

from rusty_py.bench.run import Result
from rusty_py.bench.runner import with_stats
from rusty_py.bench.suites.matmul import MatmulSuite, case, problem
from rusty_py.bench.suites.shapes import Size
from rusty_py.measure.case import Timed, Verification
from rusty_py.measure.clock import Clock

from .runs import MS, PROOF, matmul, result

GPU, WALL = Clock("gpu", ""), Clock("wall", "")


@pytest.mark.parametrize(
    ("n", "ms", "gflops"),
    [(512, 5.004, 53.64), (1024, 19.637, 109.36), (2048, 150.242, 114.35), (4096, 1138.546, 120.71)],
)
def test_a_rate_is_two_flops_a_term_over_the_median(n: int, ms: float, gflops: float) -> None:
    assert problem(n, n, n).flops == 2 * n**3
    assert round(result(matmul(n, 16), [ms]).gflops, 2) == gflops
    assert round(result(matmul(n, 16), [ms / 2, ms, 10 * ms]).gflops, 2) == gflops


def test_a_problem_counts_its_flops_and_the_bytes_of_its_matrices_once() -> None:
    odd = problem(3, 5, 7)
    assert odd.name == "3×5×7"
    assert odd.axes == {"m": 3, "k": 5, "n": 7, "products": 1}
    assert odd.flops == 2 * 3 * 5 * 7
    assert odd.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)
    assert odd.written_bytes == 4 * 3 * 7


def test_a_sample_of_several_runs_counts_each_of_them() -> None:
    samples = (Timed(0, 4, 48 * MS, 40 * MS),)
    measured = with_stats(Result(matmul(512, 8), "ok", PROOF, samples), GPU)
    assert measured.stats.median == 10 * MS
    assert measured.gflops == pytest.approx(26.84, rel=1e-3)


def test_the_wall_clock_rules_where_it_was_chosen() -> None:
    samples = (Timed(0, 1, 20 * MS, 10 * MS),)
    measured = Result(matmul(512, 8), "ok", PROOF, samples)
    assert with_stats(measured, WALL).stats.median == 20 * MS
    assert with_stats(measured, GPU).stats.median == 10 * MS


@pytest.mark.parametrize("verdict", ["wrong", "rejected"])
def test_what_is_wrong_or_rejected_has_no_rate(verdict: str) -> None:
    samples = (Timed(0, 1, 20 * MS, 10 * MS),)
    measured = with_stats(Result(matmul(512, 8), verdict, Verification("", fault="wrong"), samples), GPU)
    assert measured.stats is None
    assert measured.gflops is None


def test_cases_come_problem_by_problem_small_ones_first() -> None:
    cases = MatmulSuite([Size(512, 512, 512), Size(1, 2, 3), Size(512, 512, 512)], ["naive", 8]).cases()
    assert [(each.problem.name, each.variant) for each in cases] == [
        ("1×2×3", "naive"),
        ("1×2×3", "tile 8"),
        ("512×512×512", "naive"),
        ("512×512×512", "tile 8"),
    ]


def test_a_case_carries_the_hash_of_what_is_compiled() -> None:
    cases = [case(problem(8, 8, 8), tile) for tile in ("naive", 8, 16)]
    assert len({each.sha256 for each in cases}) == 3
    assert [each.kernel for each in cases] == [
        "matmul/naive",
        "matmul/tiled[TILE=8]",
        "matmul/tiled[TILE=16]",
    ]
