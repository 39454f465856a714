"""The register-tiled CPU kernels, chosen by the test: any size, layout, part and epilogue."""

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings

from rusty_py import Device, matmul
from rusty_py.dtypes import F16
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.register_tiled_cpu import ALONE, REGISTER_TILED_CPU, SHARING, RegisterTiledCpu
from rusty_py.gemm.register_tiled_cpu import SMALL as SMALLER
from rusty_py.ops.matmul import plan
from rusty_py.runtime import probe

from ..day import DAY
from ..each import each_reported
from .placed import PlacedProduct, assert_right, forms, limited, placed_products
from .products import assert_product, uniform

# m, n and k: one, primes, one less and one more than a block, multiples of four, and some blocks.
SHAPES = [(1, 1, 1), (7, 5, 3), (31, 63, 7), (33, 65, 9), (12, 20, 28), (32, 64, 16), (100, 132, 260)]
SMALL = [*SMALLER, RegisterTiledCpu(4, 4, lanes_m=4, lanes_n=8)]
NAMES = ["sharing", "flat", "alone", "small and sharing", "small", "in two directions"]


# With run-time checks the small ones: their text is the same, and the shipped ones are compiled for seconds.
@pytest.fixture(
    params=[
        *(pytest.param(each, marks=pytest.mark.one_mode) for each in REGISTER_TILED_CPU),
        *SMALL,
    ],
    ids=NAMES,
)
def kernel(request: pytest.FixtureRequest, device: Device) -> RegisterTiledCpu:
    block: RegisterTiledCpu = request.param
    if not block.supports(device.limits, GemmProblem(1, 1, 1)):
        pytest.skip("no subgroups as large as this kernel's workgroup")
    return block


# A few forms each day, and many sizes in each: every form is a kernel to compile.
FORMS = random.Random(DAY).sample(forms([each for each in SMALL if not each.sharing]), 6)


@pytest.mark.one_mode  # Any shape, and views with strides of any sign, are tried in both, below.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=placed_products(FORMS))
def test_register_tiled_kernels_multiply_any_shape_and_layout(device: Device, product: PlacedProduct) -> None:
    assert_right(device, product)


@pytest.mark.parametrize("vec4", [True, False], ids=["vec4", "scalar"])
def test_register_tiled_kernels_multiply_any_shape(
    device: Device, kernel: RegisterTiledCpu, vec4: bool
) -> None:
    with each_reported() as case:
        for m, n, k in SHAPES:
            with case(f"{m}x{k}x{n}"):
                assert_right(device, PlacedProduct(kernel, m, k, n, vec4=vec4))


@pytest.mark.one_mode
def test_register_tiled_kernels_multiply_transposes_where_they_lie(
    device: Device, kernel: RegisterTiledCpu
) -> None:
    with each_reported() as case:
        for transposed, size in itertools.product(["a", "b", "ab"], [36, 37]):
            orders = {f"{each}_order": "columns" for each in transposed}
            kwargs = {"products": 2, "vec4": size % 4 == 0, **orders}
            with case(f"{transposed}, {size}"):
                assert_right(device, PlacedProduct(kernel, size, size + 4, size + 32, **kwargs))


@pytest.mark.parametrize("order", ["apart", "backwards"])
def test_register_tiled_kernels_multiply_views_with_strides_of_any_sign(
    device: Device, kernel: RegisterTiledCpu, order: str
) -> None:
    assert_right(device, PlacedProduct(kernel, 40, 30, 60, products=2, start=5, a_order=order, b_order=order))


@pytest.mark.parametrize("k", [5, 64, 130])
def test_parts_of_a_sum_are_added_up(device: Device, kernel: RegisterTiledCpu, k: int) -> None:
    assert_right(device, PlacedProduct(kernel, 20, k, 24, products=2, split_k=4))


@pytest.mark.one_mode
@pytest.mark.parametrize("add", [False, True], ids=["alone", "added"])
def test_direct_kernels_finish_the_last_part_of_a_sum(
    device: Device, kernel: RegisterTiledCpu, add: bool
) -> None:
    limits = {"loop_steps": kernel.loops(32), "groups": 2}
    product = PlacedProduct(kernel, 45, 99, 71, add=add, bias=True, activation="relu", limits=limits)
    assert_right(device, product)


@pytest.mark.one_mode
@pytest.mark.parametrize("shape", [(33, 9, 65), (36, 24, 68)], ids=str)
def test_direct_kernels_store_f16_and_sum_in_f32(
    device: Device, kernel: RegisterTiledCpu, shape: tuple[int, int, int]
) -> None:
    if "shader-f16" not in device.adapter.features:
        pytest.skip("the adapter has no f16")
    vec4 = shape[0] % 4 == 0
    assert_right(device, PlacedProduct(kernel, *shape, vec4=vec4, bias=True, stored=F16, result=F16))


@pytest.mark.slow
def test_the_deepest_sum_of_a_device_is_whole(unchecked: Device) -> None:
    k = min(unchecked.limits.loop_steps, 65_535) * SHARING.step
    assert_right(unchecked, PlacedProduct(SHARING, 3, k, 4))


def test_a_cpu_driver_computes_directly_with_the_subgroups_it_has(unchecked: Device) -> None:
    if not unchecked.adapter.is_cpu:
        pytest.skip("for CPU drivers")
    problem = GemmProblem(64, 64, 64)
    expected = SHARING if unchecked.limits.subgroup >= 8 else ALONE
    assert plan(unchecked, problem).kernel is expected
    with limited(unchecked, {"subgroup": 4}):
        assert plan(unchecked, problem).kernel is ALONE
        a, b = uniform(33, 17, seed=1), uniform(17, 40, seed=2)
        assert_product(matmul(a, b, device=unchecked), a, b)


def test_no_more_threads_are_said_to_run_in_step_than_do(unchecked: Device) -> None:
    assert unchecked.limits.subgroup <= (probe.subgroup_size(unchecked) or 1)
