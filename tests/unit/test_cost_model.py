"""Plans by any profile, and on GPUs with lower limits than those that it was measured on."""

from dataclasses import replace
from math import inf, isfinite

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rusty_py import Limits
from rusty_py.dtypes import F16
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.family import signatures
from rusty_py.gemm.model import model_of
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.register_tiled import RegisterTiled
from rusty_py.gemm.search_space import FAMILIES, as_data, supports
from rusty_py.gemm.select import cost, untuned
from rusty_py.ops.reduce.passes import passes
from rusty_py.profile.prior import prior
from rusty_py.profile.record import KernelRate, Profile
from rusty_py.runtime.adapter import METAL, lowered
from rusty_py.tune.search import candidates

from ..adapters import RADEON
from ..profiles import profiles

GPU = RADEON.limits
CPU = replace(GPU, subgroup=8)
LOWER = [
    lowered(replace(RADEON, limits=CPU), text).limits
    for text in (METAL, "threads=256,workgroup_bytes=32768,subgroup=1", "threads=128,workgroup_bytes=16384")
]
SIGNATURES = list(signatures())
SIGNATURES += [replace(SIGNATURES[0], stored=F16, result=F16, accumulate_dtype=F16)]
BLOCKED_ALONE = replace(
    prior("apple"),
    fma_gflops=2.0,
    kernels=tuple(each for each in prior("apple").kernels if each.kernel["family"] == "blocked"),
)
"""By which kernels of other families are hundreds of times slower."""
SIZES = st.one_of(st.integers(1, 20), st.integers(1, 5000), st.sampled_from([64, 4096, 100_000]))


@settings(max_examples=150)
@given(
    profile=profiles("apple", "discrete", "integrated", "llvmpipe"),
    limits=st.sampled_from([GPU, *LOWER]),
    size=st.tuples(SIZES, SIZES, SIZES, st.sampled_from([1, 1, 3])),
    signature=st.sampled_from(SIGNATURES),
    cpu=st.booleans(),
)
def test_whatever_a_profile_says_the_plan_is_one_that_the_device_supports(
    profile: Profile, limits: Limits, size: tuple[int, int, int, int], signature: Signature, cpu: bool
) -> None:
    problem = GemmProblem(*size, signature=signature)
    machine = model_of(limits, cpu, profile)
    plan = untuned(machine, problem)
    assert supports(plan.choice, limits, problem)
    assert 0 < cost(plan, machine) < inf
    assert plan.why.endswith(f", calibrated {profile.date}")
    assert 0 < machine.peak < inf
    for kernel in [*FAMILIES["blocked"].calibrated, *FAMILIES["gemv_n"].kernels()][:20]:
        assert all(0 < machine.gflops(kernel, name) < inf for name in ("nn", "tt", "half2"))


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 1 << 22), st.integers(1, 300)),
    groups=st.integers(1, 1 << 21),
    cpu=st.booleans(),
    vec4=st.booleans(),
)
def test_any_number_of_groups_reduces_everything_in_few_passes(
    shape: tuple[int, int, int], groups: int, cpu: bool, vec4: bool
) -> None:
    outer, n, inner = shape
    found = passes(outer, n, inner, cpu=cpu, vec4=vec4, enough_groups=groups)
    assert 1 <= len(found) <= 5
    for each in found:
        assert each.width * each.chunk >= n > (each.width - 1) * each.chunk
        n = each.width
    assert n == 1


@settings(max_examples=3)
@given(profile=profiles("apple", "integrated"), size=st.sampled_from([256, 2048]))
@example(profile=BLOCKED_ALONE, size=256)
def test_the_tuner_tries_kernels_without_workgroup_memory_whatever_it_is_told(
    profile: Profile, size: int
) -> None:
    """On a device with Metal's limits: there they may be the fastest."""
    limits = LOWER[0]
    adapter = replace(RADEON, limits=limits)
    problem = GemmProblem(size, size, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rusty_py.tune.search.load", lambda adapter: profile)
        plans = candidates(adapter, problem)
    assert all(supports(plan.choice, limits, problem) for plan in plans)
    assert {RegisterTiled, Blocked} <= {type(plan.kernel) for plan in plans[:16]}


def test_kernels_and_classes_that_are_not_known_are_ignored() -> None:
    base = prior("integrated")
    known = base.kernels[0]
    odd = replace(
        base,
        kernels=(
            KernelRate({"family": "of the future", "block_m": 64}, {"nn": 1e9}),
            KernelRate({**known.kernel, "block_m": 63}, {"nn": 1e9}),
            KernelRate({**known.kernel, "more": 1}, {"nn": 1e9}),
            KernelRate({}, {}),
            KernelRate(known.kernel, {"unheard_of": 1e9, **known.gflops}),
        ),
    )
    machine = model_of(GPU, False, odd)
    assert [(as_data(kernel), rates) for kernel, rates in machine.rates.items()] == [
        (dict(known.kernel), dict(known.gflops))
    ]
    only = replace(base, kernels=(KernelRate(known.kernel, {"unheard_of": 1e9}),))
    assert isfinite(model_of(GPU, False, only).gflops(next(iter(machine.rates)), "nn"))


def test_without_any_rate_kernels_are_estimated_from_arithmetic() -> None:
    bare = replace(prior("integrated"), kernels=())
    machine = model_of(GPU, False, bare)
    assert machine.rates == {}
    assert machine.peak == bare.fma_gflops * 1e9
    rates = [machine.gflops(kernel, "tn") for kernel in FAMILIES["blocked"].calibrated]
    assert 0.5 * bare.fma_gflops < max(rates) <= bare.fma_gflops
    assert untuned(machine, GemmProblem(1024, 1024, 1024)).kernel in FAMILIES["blocked"].calibrated
