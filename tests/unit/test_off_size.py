"""The problems that benchmarks/off_size.py draws about measured sizes."""

import random
from dataclasses import asdict
from math import inf
from types import SimpleNamespace

import pytest

from benchmarks.off_size import like, problems
from rusty_py import Limits
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.entry import Entry, Machine, form_of, shape_class
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.thin import COLUMNS
from rusty_py.tune.search import problem_of

DEVICE = SimpleNamespace(limits=Limits(1024, 32768, 65535, 1 << 30, 1 << 30))
KERNEL = Blocked(64, 128, 16, thread_m=8, thread_n=8, lanes_m=8, stages=2)
MACHINE = asdict(Machine("Adapter", "Vulkan", "DiscreteGPU", "driver 1", "29.0"))


def entry(problem: Problem, kernel: Kernel = KERNEL) -> Entry:
    size = problem.m, problem.k, problem.n, problem.products
    form, shape = form_of(problem), shape_class(problem)
    return Entry(MACHINE, form, shape, size, kernel, 1, 112.0, "tile 32", 100.0, "2026-11-21")


ENTRIES = [
    entry(problem_of(1400, 1000, 700, layout="nt")),
    entry(problem_of(1023, 1023, 1023)),
    entry(problem_of(4, 4096, 4096), COLUMNS[4]),
    entry(problem_of(512, 512, 512, dtype="f16", sums="f16", products=40)),
]


@pytest.mark.parametrize("each", ENTRIES, ids=lambda each: each.form)
def test_an_entry_is_of_contiguous_matrices(each: Entry) -> None:
    problem = like(each, each.size)
    assert problem is not None
    assert (form_of(problem), problem.m) == (each.form, each.size[0])


def test_problems_are_off_the_measured_sizes_within_reach_and_beyond() -> None:
    found = list(problems(DEVICE, ENTRIES, 12, random.Random(1)))  # type: ignore[arg-type]
    assert [within for *_, within in found] == [True] * 12 + [False] * 12
    assert {id(each) for _, each, _ in found} == set(map(id, ENTRIES))
    for problem, each, within in found:
        assert form_of(problem) == each.form
        assert (each.distance(problem) < inf) == within
        assert each.distance(problem) != 1
