"""Simulated GPUs: with lower limits, hidden subgroups and profiles that are wrong, results are right."""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Adapter, Device, matmul
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.profile import store
from rusty_py.profile.prior import prior
from rusty_py.profile.record import Profile
from rusty_py.runtime.adapter import METAL, lowered
from rusty_py.samples import Sample

from ..day import DAY
from ..each import each_reported
from ..profiles import scrambled
from .convolutions import assert_computed
from .operands import on
from .products import assert_product, poison, uniform

pytestmark = pytest.mark.one_mode

# A few each day: each may plan other kernels, which take seconds to compile.
SEEDS = random.Random(DAY).sample(range(1 << 32), 3)
PRODUCTS = [(33, 40, 36), (1, 300, 200), (5, 2000, 7), (128, 64, 128)]
REDUCTIONS = [((7, 5003), 1), ((2500, 6), 0), ((3, 700, 5), 1), ((100_003,), 0)]


@pytest.fixture(
    scope="module", params=[METAL, "threads=256,workgroup_bytes=16384,subgroup=1"], ids=["metal", "256"]
)
def gpu(request: pytest.FixtureRequest, adapter: Adapter) -> Iterator[Device]:
    """A device that plans as an integrated GPU with these limits does."""
    simulated = replace(lowered(adapter, request.param), type="IntegratedGPU")
    with Device(simulated, checked=False) as device:
        yield device


def test_a_simulated_gpu_has_what_is_assumed_of_integrated_ones(gpu: Device) -> None:
    gpu.attachments.pop(Profile, None)
    assert store.profile_of(gpu) in (prior("integrated"), prior("apple"), prior("llvmpipe"))
    assert "subgroup" not in gpu.adapter.features
    assert gpu.limits.threads <= 1024
    assert gpu.limits.workgroup_bytes <= 32768


def test_products_are_right_by_wrong_profiles(gpu: Device) -> None:
    with each_reported() as case:
        for seed in SEEDS:
            store.use(gpu, scrambled(seed, "apple"))
            for m, k, n in PRODUCTS:
                with case(f"{seed}: {m}x{k}x{n}"), poison(gpu):
                    a, b = uniform(m, k, seed=seed), uniform(k, n, seed=seed + 1)
                    assert "calibrated " in matmul.plan(a, b, device=gpu).why
                    assert_product(matmul(a, b, device=gpu), a, b)


def test_reductions_are_right_by_wrong_profiles(gpu: Device) -> None:
    with each_reported() as case:
        for groups in (1, random.Random(DAY).randrange(2, 1024), 1 << 20):
            store.use(gpu, replace(prior("apple"), fill_groups=groups))
            for name, (shape, axis) in zip(("sum", "max", "var", "argmax"), REDUCTIONS, strict=True):
                with case(f"{name} of {shape} in {groups} groups"), poison(gpu):
                    x = uniform(*shape, seed=DAY)
                    expected = OPERATIONS[name].expected
                    assert expected
                    reference = expected(Sample("", (x,), {"axis": axis}))
                    assert reference.error(apply(OPERATIONS[name], on(gpu, x), axis=axis).numpy()) <= 1


def test_convolutions_are_right_by_wrong_profiles(gpu: Device) -> None:
    x, w = uniform(1, 8, 12, 12, seed=DAY), uniform(8, 8, 3, 3, seed=DAY + 1)
    with each_reported() as case:
        for seed in SEEDS:
            store.use(gpu, scrambled(seed, "apple"))
            with case(seed):
                assert_computed(gpu, "conv2d", [x, w], geometry=Geometry(padding=(1, 1)))


def test_a_profile_that_is_used_changes_plans_from_then_on_and_they_say_so(adapter: Adapter) -> None:
    """Of two kernels, the one that is the faster by each profile."""
    a, b = uniform(256, 256), uniform(256, 256, seed=1)
    base = prior("integrated")
    first, second = base.kernels[0], base.kernels[1]
    with Device(replace(adapter, type="IntegratedGPU"), checked=False) as device:
        before = str(matmul.plan(a, b, device=device))
        chosen = []
        for best in (first, second):
            rates = tuple(
                replace(each, gflops={"nn": 1e4 if each is best else 1.0}) for each in (first, second)
            )
            store.use(device, replace(base, basis="calibrated", cores=1, date="2026-11-28", kernels=rates))
            plan = matmul.plan(a, b, device=device)
            assert plan.why.endswith(", calibrated 2026-11-28")
            chosen.append(plan.kernel)
        assert "not calibrated: " in before
        assert len(set(chosen)) == 2


def test_launch_plans_are_made_anew_when_a_profile_is_used(unchecked: Device) -> None:
    x = rp.ones((64, 64), device=unchecked)
    try:
        for _ in range(3):
            (x + x).numpy()
        assert unchecked.cache.plans
        store.use(unchecked, prior("llvmpipe"))
        assert not unchecked.cache.plans
        np.testing.assert_array_equal((x + x).numpy(), np.full((64, 64), 2, np.float32))
    finally:
        unchecked.attachments.pop(Profile, None)
