"""The kernels of thin products, chosen by the test: any size, layout, part and epilogue."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rusty_py import Device, matmul
from rusty_py.dtypes import F16
from rusty_py.gemm.gemv import GEMV_N, GEMV_T, SHARED_BYTES, Gemv, GemvN, GemvT, candidates, gemv_kernel
from rusty_py.gemm.model import model_of
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.select import untuned
from rusty_py.profile.prior import prior
from rusty_py.runtime.launch import launch

from .placed import ORDERS, PlacedProduct, assert_right
from .products import assert_product, uniform

# Small, so that small products meet every edge; CPU drivers compile long kernels slowly.
CUTS = [
    GemvN(1, lanes_n=8, lanes_k=4, steps=2),
    GemvN(4, lanes_n=4, lanes_k=2, steps=1),
    GemvN(2, lanes_n=4, lanes_k=1, steps=2),
    GemvN(1, lanes_n=2, lanes_k=16, steps=1),
    GemvT(1, cols=2, lanes_n=4, lanes_k=4, steps=2),
    GemvT(4, cols=1, lanes_n=2, lanes_k=2, steps=1),
    GemvT(2, cols=2, lanes_n=1, lanes_k=1, steps=2),
    GemvT(1, cols=1, lanes_n=1, lanes_k=128, steps=1),
]
SHIPPED = [*GEMV_N.values(), *GEMV_T.values()]


def gemv(cut: Gemv, m: int, k: int, n: int, **changes: object) -> PlacedProduct:
    """b, or the transpose of a where turned, lies as the cut takes it."""
    along = "columns" if isinstance(cut, GemvT) else "rows"
    across = "rows" if isinstance(cut, GemvT) else "columns"
    orders = {"a_order": across} if changes.get("transposed") else {"b_order": along}
    return PlacedProduct(cut, m, k, n, **(orders | changes))  # type: ignore[arg-type]


@st.composite
def products(draw: st.DrawFn, cuts: list[Gemv]) -> PlacedProduct:
    cut = draw(st.sampled_from(cuts))
    vec4, transposed = draw(st.booleans()), draw(st.booleans())
    few, many = draw(st.integers(1, 9)), draw(st.integers(1, 20)) * (4 if vec4 else 1)
    m, n = (many, few) if transposed else (few, many)
    k = draw(st.integers(1, 150)) * (4 if vec4 else 1)
    parts = draw(st.booleans())
    return gemv(
        cut,
        m,
        k,
        n,
        transposed=transposed,
        seed=draw(st.integers(0, 2**32 - 1)),
        products=draw(st.integers(1, 3)),
        split_k=draw(st.integers(1, 5)),
        vec4=vec4,
        **{"b_order" if transposed else "a_order": draw(st.sampled_from(ORDERS))},
        c_order=draw(st.sampled_from(["rows", "upside down"])),
        start=draw(st.integers(0, 9)),
        add=draw(st.booleans()),
        limits={"groups": 3, "loop_steps": cut.loops(48)} if parts else {},
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=products(CUTS))
def test_a_thin_product_of_any_shape_and_layout(device: Device, product: PlacedProduct) -> None:
    assert_right(device, product)


@pytest.mark.one_mode  # A bias is tried in both below, and no index depends on an activation.
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=products([CUTS[0], CUTS[4]]), bias=st.booleans(), activation=st.sampled_from(["", "relu"]))
def test_a_thin_product_with_an_epilogue(
    device: Device, product: PlacedProduct, bias: bool, activation: str
) -> None:
    assert_right(device, replace(product, bias=bias, activation=activation))


@pytest.mark.one_mode  # The small ones, with the same text, are tried in both, vec4 and scalar.
@pytest.mark.parametrize(
    ("cut", "vec4"), [pytest.param(cut, i % 2 == 0, id=cut.name) for i, cut in enumerate(SHIPPED)]
)
def test_each_shipped_cut_computes(device: Device, cut: Gemv, vec4: bool) -> None:
    k, n = (4 * cut.chunk + 8, 2 * cut.block[1] + 4) if vec4 else (3 * cut.chunk + 5, cut.block[1] + 1)
    assert_right(device, gemv(cut, cut.rows, k, n, split_k=2, vec4=vec4))


@pytest.mark.parametrize("cut", [CUTS[0], CUTS[4]], ids=lambda cut: cut.name)
@pytest.mark.parametrize("vec4", [True, False], ids=["by four", "by one"])
def test_thin_products_store_f16_and_sum_in_f32(device: Device, cut: Gemv, vec4: bool) -> None:
    if "shader-f16" not in device.adapter.features:
        pytest.skip("the adapter has no f16")
    product = gemv(cut, 3, 100, 44, vec4=vec4, split_k=3, add=True, bias=True, stored=F16, result=F16)
    assert_right(device, product)


@pytest.mark.parametrize("cut", CUTS[::4], ids=lambda cut: cut.name)
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 7, 1), (1, 1031, 1), (3, 65_536, 5), (1, 3, 4099)])
@pytest.mark.parametrize("transposed", [False, True], ids=["few rows", "few columns"])
def test_a_thin_product_of_odd_sizes(
    device: Device, cut: Gemv, m: int, k: int, n: int, transposed: bool
) -> None:
    assert_right(
        device, gemv(cut, *((n, k, m) if transposed else (m, k, n)), transposed=transposed, add=True)
    )


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_more_parts_than_terms_are_no_parts(device: Device, cut: Gemv) -> None:
    assert_right(device, gemv(cut, 2, 3, 5, split_k=7))


@pytest.mark.parametrize("cut", CUTS[::4], ids=lambda cut: cut.name)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_the_end_of_a_sum_adds_no_odd_number_twice(
    device: Device, cut: Gemv, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = gemv(cut, 3, 37, 11)
    a, b, bias, before = product.operands()
    a[0, 1, -1] = b[0, -1, 4] = value
    monkeypatch.setattr(PlacedProduct, "operands", lambda self: (a, b, bias, before))
    found = product.compute(device, launch)[: 3 * 11].reshape(3, 11)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, a[0] @ b[0], rtol=1e-4, atol=1e-4)


@pytest.mark.one_mode  # The kernels by themselves are tried in both, above.
@pytest.mark.usefixtures("short_kernels")  # For the products that are not thin enough.
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    few=st.integers(1, 5),
    k=st.integers(1, 300),
    many=st.integers(1, 150),
    transposed=st.booleans(),
    operand_t=st.tuples(st.booleans(), st.booleans()),
    bias=st.booleans(),
)
@example(few=1, k=256, many=64, transposed=True, operand_t=(False, False), bias=True)
def test_matmul_of_few_rows_or_columns(
    device: Device, few: int, k: int, many: int, transposed: bool, operand_t: tuple[bool, bool], bias: bool
) -> None:
    m, n = (many, few) if transposed else (few, many)
    a = uniform(k, m, seed=1).T if operand_t[0] else uniform(m, k, seed=1)
    b = uniform(n, k, seed=2).T if operand_t[1] else uniform(k, n, seed=2)
    # A bias as one term more of each sum.
    row = uniform(n, seed=3)
    wide = np.hstack([a, np.ones((m, 1), np.float32)]), np.vstack([b, row])
    c = matmul(a, b, bias=row if bias else None, device=device)
    assert_product(c, *(wide if bias else (a, b)))


@pytest.mark.parametrize("cut", [*CUTS, *SHIPPED], ids=lambda cut: cut.name)
def test_a_cut_is_one_that_its_kernel_can_be(cut: Gemv) -> None:
    accumulate_dtype = cut.rows if isinstance(cut, GemvN) else cut.rows * cut.cols
    assert cut.shared <= cut.lanes_k
    assert accumulate_dtype % cut.shared == 0
    signature = Signature(b_along_k=isinstance(cut, GemvT))
    assert cut.spec(GemmProblem(1, 1, 1, signature=signature)).workgroup_bytes <= SHARED_BYTES


def test_the_cut_of_a_problem_has_as_many_rows_or_somewhat_more() -> None:
    found = [gemv_kernel(GemmProblem(m, 8, 8)) for m in (1, 2, 3, 5, 8, 9, 16, 17)]
    assert found == [*(GEMV_N[rows] for rows in (1, 2, 4, 8, 8, 16, 16)), None]
    assert gemv_kernel(GemmProblem(3, 8, 8, signature=Signature(b_along_k=True))) is GEMV_T[4]


def test_few_columns_are_few_rows_of_the_transpose(unchecked: Device) -> None:
    problem = GemmProblem(4096, 1024, 3)
    assert not list(candidates(GemvN, unchecked.limits, problem))
    plans = list(candidates(GemvT, unchecked.limits, problem))
    assert {(each.kernel, each.transposed) for each in plans} == {(GEMV_T[4], True)}
    assert [each.split_k for each in plans] == [1, 2, 4]
    assert plans[0].seen == GemmProblem(3, 1024, 4096, signature=problem.signature.transposed())


def test_a_gpu_reads_thin_operands_with_hundreds_of_workgroups(unchecked: Device) -> None:
    gpu = model_of(unchecked.limits, False, prior("discrete"))
    for problem in (GemmProblem(1, 4096, 4096), GemmProblem(4096, 8192, 1), GemmProblem(8, 4096, 4096)):
        chosen = untuned(gpu, problem)
        assert isinstance(chosen.kernel, GemvN | GemvT)
        assert -(-chosen.seen.n // chosen.kernel.block[1]) * chosen.split_k >= 256
    cpu = model_of(unchecked.limits, True, prior("llvmpipe"))
    on_cpu = untuned(cpu, GemmProblem(512, 512, 512))
    assert on_cpu.kernel.name.startswith("register-tiled")
