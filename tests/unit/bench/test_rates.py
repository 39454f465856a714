"""From times to rates: the formulas behind the columns."""

from types import SimpleNamespace

import numpy as np
import pytest

from rusty_py.bench.matmul_suite import MatmulSuite, problem
from rusty_py.bench.shapes import Size
from rusty_py.measure.document import ClockName, Result, Row, Samples, Verdict
from rusty_py.measure.figures import GBPS, GFLOPS, share_of_ceiling

from .runs import MS, VERIFIED, matmul, run


def only(*rows: Row) -> Result:
    """The first result of a run."""
    return run(*rows).rows[0].results[0]


def sampled(verdict: Verdict, clock: ClockName, samples: Samples) -> Result:
    return only(Row(problem(512, 512, 512), (Result("tile 8", verdict, clock, samples=samples),)))


@pytest.mark.parametrize(
    ("n", "ms", "gflops"),
    [(512, 5.004, 53.64), (1024, 19.637, 109.36), (2048, 150.242, 114.35), (4096, 1138.546, 120.71)],
)
def test_a_rate_is_two_flops_a_term_over_the_median(n: int, ms: float, gflops: float) -> None:
    assert problem(n, n, n).flops == 2 * n**3
    for times in ([ms], [ms / 2, ms, 10 * ms]):
        assert round(only(matmul(n, "tile 16", times)).figure(GFLOPS) or 0, 2) == gflops


def test_a_bandwidth_is_the_minimum_traffic_over_the_median() -> None:
    assert only(matmul(1000, "tile 16", [12.0])).figure(GBPS) == pytest.approx(1.0)


def test_the_share_of_the_ceiling_is_the_roofline_over_the_median() -> None:
    assert share_of_ceiling(only(matmul(512, "tile 16", [0.1]))) == pytest.approx(0.75, rel=1e-3)
    assert share_of_ceiling(only(matmul(512, "tile 16", [0.1], roofline_gflops=None))) is None


def test_a_problem_counts_its_flops_and_the_bytes_of_its_matrices_once() -> None:
    odd = problem(3, 5, 7)
    assert odd.name == "3×5×7"
    assert odd.axes == {"m": 3, "k": 5, "n": 7, "products": 1}
    assert odd.options == {"layout": "nn", "accumulate_dtype": "f32"}
    assert odd.flops == 2 * 3 * 5 * 7
    assert odd.nbytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)
    assert odd.written_bytes == 4 * 3 * 7


def test_a_sample_of_several_runs_counts_each_of_them() -> None:
    measured = sampled("ok", "gpu", Samples(4, (0,), (48 * MS,), (40 * MS,)))
    assert measured.ns == 10 * MS
    assert measured.figure(GFLOPS) == pytest.approx(26.84, rel=1e-3)


def test_the_wall_clock_rules_where_it_was_chosen() -> None:
    samples = Samples(1, (0,), (20 * MS,), (10 * MS,))
    assert sampled("ok", "wall", samples).ns == 20 * MS
    assert sampled("ok", "gpu", samples).ns == 10 * MS


@pytest.mark.parametrize("verdict", ["wrong", "rejected"])
def test_what_is_wrong_or_rejected_has_no_rate(verdict: Verdict) -> None:
    measured = sampled(verdict, "gpu", Samples(1, (0,), (20 * MS,), (10 * MS,)))
    assert (measured.stats, measured.ns, measured.figures) == (None, None, ())


def test_schedules_come_problem_by_problem_small_ones_first() -> None:
    suite = MatmulSuite([Size(512, 512, 512), Size(1, 2, 3), Size(512, 512, 512)], ["naive", 8])
    schedules = suite.schedules(SimpleNamespace(device=None), np.random.default_rng(0))  # type: ignore[arg-type]
    assert [(each.problem.name, each.by) for each in schedules] == [
        ("1×2×3", ["naive", "tile 8"]),
        ("512×512×512", ["naive", "tile 8"]),
    ]


def test_verified_results_keep_their_verification() -> None:
    assert only(matmul(512, "tile 8", [1.0])).verification == VERIFIED
