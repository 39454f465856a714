"""The problems that benchmarks/off_size.py draws about measured sizes."""

import random
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from benchmarks.off_size import like, problems
from rusty_py import Limits
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.gemv import GEMV_N
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.select import tuned_choice
from rusty_py.gemm.tuning_cache import Tuned
from rusty_py.gemm.tuning_entry import MachineKey, TuningEntry, shape_class, signature_key
from rusty_py.profile.prior import prior
from rusty_py.profile.record import Profile
from rusty_py.tune.search import problem_of

KERNEL = Blocked(64, 128, 16, thread_m=8, thread_n=8, lanes_m=8, stages=2)
MACHINE = asdict(MachineKey("Adapter", "Vulkan", "DiscreteGPU", "driver 1", "29.0"))


def entry(problem: GemmProblem, kernel: KernelConfig = KERNEL) -> TuningEntry:
    size = problem.m, problem.k, problem.n, problem.products
    signature, shape = signature_key(problem), shape_class(problem)
    return TuningEntry(MACHINE, signature, shape, size, kernel, 1, 112.0, "tile 32", 100.0, "2026-11-21")


ENTRIES = [
    entry(problem_of(1400, 1000, 700, layout="nt")),
    entry(problem_of(1023, 1023, 1023)),
    entry(problem_of(4, 4096, 4096), GEMV_N[4]),
    entry(problem_of(512, 512, 512, dtype="f16", accumulate_dtype="f16", products=40)),
]


DEVICE = SimpleNamespace(
    limits=Limits(1024, 32768, 65535, 1 << 30, 1 << 30),
    adapter=SimpleNamespace(type="DiscreteGPU", is_cpu=False),
    attachments={Tuned: Tuned(ENTRIES), Profile: prior("discrete")},
)


@pytest.mark.parametrize("each", ENTRIES, ids=lambda each: each.signature)
def test_an_entry_is_of_contiguous_matrices(each: TuningEntry) -> None:
    problem = like(each, each.size)
    assert problem is not None
    assert (signature_key(problem), problem.m) == (each.signature, each.size[0])


def test_problems_are_off_the_measured_sizes_and_half_of_them_decided_by_entries() -> None:
    found = list(problems(DEVICE, ENTRIES, 12, random.Random(1)))  # type: ignore[arg-type]
    assert [used for *_, used in found] == [True] * 12 + [False] * 12
    for problem, each, used in found:
        assert signature_key(problem) == each.signature
        assert (tuned_choice(DEVICE, problem) is each) == used  # type: ignore[arg-type]
        assert each.distance(problem) != 1
