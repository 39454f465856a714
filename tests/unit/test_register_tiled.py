"""How register-tiled kernels are planned: their rates, and where they are chosen and tried."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest

from rusty_py import Limits
from rusty_py.dtypes import F16
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.rates import rate
from rusty_py.gemm.register_tiled import FAMILY, REGISTER_TILED, SMALLEST, RegisterTiled
from rusty_py.gemm.search_space import FAMILIES, space
from rusty_py.gemm.select import untuned
from rusty_py.profile.prior import prior
from rusty_py.tune.search import candidates, problem_of

from ..each import each_reported

USUAL = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)
# Workgroup memory for no blocked kernel.
LITTLE = replace(USUAL, threads=256, workgroup_bytes=2048)
SIGNATURES = (
    Signature(),
    Signature(a_along_k=False, b_along_k=True),
    Signature(a_vec4=False, b_vec4=False, c_vec4=False, bias=True, activation="gelu"),
    Signature(stored=F16, result=F16, accumulate_dtype=F16),
)


H200 = model_of(USUAL, False, prior("nvidia-h200"))


def of(kernel: RegisterTiled, signature: Signature) -> float:
    return rate(GemmPlan(GemmProblem(2048, 2048, 2048, signature=signature), kernel), H200)


@pytest.mark.parametrize("kernel", REGISTER_TILED, ids=lambda each: each.name)
def test_the_estimate_is_near_what_was_measured(kernel: RegisterTiled) -> None:
    rates = {each: found for each, found in H200.rates.items() if each != kernel}
    assert H200.rates[kernel]["tn"] == pytest.approx(replace(H200, rates=rates).gflops(kernel, "tn"), rel=0.2)


def test_kernels_without_measurements_have_rates_by_the_same_layouts() -> None:
    for kernel in FAMILY.kernels():
        nn, nt = of(kernel, Signature()), of(kernel, Signature(b_along_k=True))
        assert 0 < nt < nn < H200.peak / 1e9


def test_threads_are_some_subgroups_and_fit_every_gpu() -> None:
    kernels = list(FAMILY.kernels())
    assert {kernel.threads for kernel in kernels} == {64, 128, 256}
    assert {*REGISTER_TILED, SMALLEST} <= set(kernels)
    for kernel in kernels:
        spec = kernel.spec(GemmProblem(100, 100, 100))
        assert (spec.threads, spec.workgroup_bytes) == (kernel.threads, 0)
        assert kernel.block == (kernel.lanes_m * kernel.thread_m, kernel.lanes_n * kernel.thread_n)


def test_a_text_depends_on_edges_and_not_on_sizes_or_the_layout_of_scalars() -> None:
    rows, cols = SMALLEST.block
    whole, edges, less = (SMALLEST.spec(GemmProblem(rows + more, 16, cols + more)) for more in (0, 4, -4))
    assert len({whole, edges, less}) == 3
    assert whole == SMALLEST.spec(GemmProblem(4 * rows, 40, 2 * cols))
    ones = Signature(a_vec4=False, b_vec4=False, c_vec4=False)
    other = replace(ones, a_along_k=False, b_along_k=True)
    assert SMALLEST.spec(GemmProblem(5, 5, 5, signature=ones)) == SMALLEST.spec(
        GemmProblem(7, 3, 3, signature=other)
    )


@pytest.mark.parametrize("name", ["discrete", "integrated", "apple"])
@pytest.mark.parametrize("signature", SIGNATURES, ids=str)
def test_products_of_gpus_without_room_for_blocks_are_register_tiled(name: str, signature: Signature) -> None:
    machine = model_of(LITTLE, False, prior(name))
    for size in (100, 1000, 4096):
        plan = untuned(machine, GemmProblem(size, size, size, signature=signature))
        assert isinstance(plan.kernel, RegisterTiled)
    assert untuned(machine, GemmProblem(64, 60_000, 64, signature=signature)).split_k > 1


def test_on_the_gpu_that_was_measured_blocked_kernels_are_faster() -> None:
    """As they were at every size that was measured: benchmarks/NOTEBOOK.md."""
    with each_reported() as case:
        for m, k, n in [(s, s, s) for s in (64, 96, 256, 512, 1000, 4096)] + [(64, 16384, 64)]:
            with case(f"{m}x{k}x{n}"):
                chosen = untuned(H200, GemmProblem(m, k, n))
                assert isinstance(chosen.kernel, Blocked)


def test_the_tuner_tries_every_thread_tile_among_the_first() -> None:
    for kind, layout, size in product(("DiscreteGPU", "IntegratedGPU"), ("nn", "nt"), (256, 2048)):
        about = {"name": "some GPU", "vendor": "", "backend": "Vulkan", "driver": "1"}
        adapter = SimpleNamespace(limits=USUAL, type=kind, is_cpu=False, **about)
        problem = problem_of(size, size, size, layout=layout)
        first = [plan.kernel for plan in candidates(adapter, problem)[:16]]  # type: ignore[arg-type]
        tiles = {(each.thread_m, each.thread_n) for each in first if isinstance(each, RegisterTiled)}
        assert tiles == {(4, 4), (4, 8), (8, 4), (8, 8)}
        assert sum(isinstance(each, Blocked) for each in first) > 8


def test_cpu_drivers_have_kernels_of_their_own() -> None:
    assert FAMILIES["register_tiled"] is FAMILY
    for cpu in (False, True):
        kinds = {type(each.kernel) for each in space(USUAL, GemmProblem(64, 64, 64), cpu=cpu)}
        assert (RegisterTiled in kinds) == (not cpu)
