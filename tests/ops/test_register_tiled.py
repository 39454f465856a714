"""The register-tiled GPU kernels, chosen by the test: any size, layout, part and epilogue."""

import random

import pytest
from hypothesis import HealthCheck, given, settings

from rusty_py import Device
from rusty_py.dtypes import F16
from rusty_py.gemm.register_tiled import SMALLEST, RegisterTiled

from ..day import DAY
from ..each import each_reported
from .placed import PlacedProduct, assert_right, forms, placed_products

KERNELS = [
    SMALLEST,
    RegisterTiled(8, 4, lanes_m=4, lanes_n=16),
    RegisterTiled(4, 8, lanes_m=16, lanes_n=4, step=8),
]
# m, k and n: one, primes, around a block and a step, multiples of four, whole blocks.
SHAPES = [(1, 1, 1), (7, 3, 5), (31, 7, 33), (33, 9, 65), (12, 28, 20), (64, 64, 64), (100, 260, 132)]


# The code of their indices is the same: one of them shows what run-time checks make of it.
@pytest.fixture(
    params=[SMALLEST, *(pytest.param(each, marks=pytest.mark.one_mode) for each in KERNELS[1:])],
    ids=lambda each: each.name,
)
def kernel(request: pytest.FixtureRequest) -> RegisterTiled:
    return request.param


# A few forms each day, and many sizes in each: every form is three kernels to compile, by what edges it has.
FORMS = random.Random(DAY).sample(forms(KERNELS), 4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=placed_products(FORMS))
def test_register_tiled_kernels_multiply_any_shape_and_layout(device: Device, product: PlacedProduct) -> None:
    assert_right(device, product)


@pytest.mark.parametrize("vec4", [True, False], ids=["vec4", "scalar"])
def test_register_tiled_kernels_multiply_any_shape(device: Device, kernel: RegisterTiled, vec4: bool) -> None:
    with each_reported() as case:
        for m, k, n in SHAPES:
            with case(f"{m}x{k}x{n}"):
                assert_right(device, PlacedProduct(kernel, m, k, n, vec4=vec4))


@pytest.mark.parametrize("transposed", ["a", "b", "ab"])
def test_register_tiled_kernels_multiply_transposes_where_they_lie(
    device: Device, kernel: RegisterTiled, transposed: str
) -> None:
    orders = {f"{each}_order": "columns" for each in transposed}
    with each_reported() as case:
        for m, k, n in ((36, 40, 68), (24, 12, 100), (64, 128, 64)):
            with case(f"{m}x{k}x{n}"):
                assert_right(device, PlacedProduct(kernel, m, k, n, products=2, vec4=True, **orders))


@pytest.mark.parametrize("order", ["apart", "backwards"])
def test_register_tiled_kernels_multiply_views_with_strides_of_any_sign(device: Device, order: str) -> None:
    placed = {"a_order": order, "b_order": order, "products": 2, "start": 5}
    assert_right(device, PlacedProduct(SMALLEST, 40, 30, 60, **placed))


def test_lines_of_vectors_may_lie_in_reverse_order(device: Device) -> None:
    """Strides of lines are negative: their quarters are, too."""
    backwards = PlacedProduct(SMALLEST, 36, 40, 68, products=2, vec4=True, a_order="upside down")
    assert_right(device, backwards)


@pytest.mark.parametrize("k", [5, 64, 130])
def test_parts_of_a_sum_are_added_up(device: Device, kernel: RegisterTiled, k: int) -> None:
    assert_right(device, PlacedProduct(kernel, 20, k, 24, products=2, split_k=4))


@pytest.mark.one_mode
@pytest.mark.parametrize("add", [False, True], ids=["alone", "added"])
def test_register_tiled_kernels_finish_the_last_part_of_a_sum(
    device: Device, kernel: RegisterTiled, add: bool
) -> None:
    limits = {"loop_steps": kernel.loops(32), "groups": 2}
    product = PlacedProduct(kernel, 45, 99, 71, add=add, bias=True, activation="relu", limits=limits)
    assert_right(device, product)


@pytest.mark.parametrize("binding_bytes", [12288, 5632])
def test_operands_larger_than_a_binding_are_multiplied_in_parts(device: Device, binding_bytes: int) -> None:
    """Of a workgroup's block of c, and of less."""
    limits = {"binding_bytes": binding_bytes}
    for m, k, n in ((67, 35, 69), (68, 36, 72)):
        product = PlacedProduct(SMALLEST, m, k, n, vec4=m % 4 == 0, limits=limits)
        assert_right(device, product)


@pytest.mark.one_mode
@pytest.mark.parametrize("shape", [(33, 9, 65), (36, 24, 68)], ids=str)
def test_register_tiled_kernels_store_f16_and_sum_in_f32(
    device: Device, kernel: RegisterTiled, shape: tuple[int, int, int]
) -> None:
    if "shader-f16" not in device.adapter.features:
        pytest.skip("the adapter has no f16")
    vec4 = shape[0] % 4 == 0
    assert_right(device, PlacedProduct(kernel, *shape, vec4=vec4, bias=True, stored=F16, result=F16))
