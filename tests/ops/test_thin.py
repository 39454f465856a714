"""The kernels of thin products, chosen by the test: any size, layout, part and epilogue."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rusty_py import Device, matmul
from rusty_py.dtypes import F16
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.thin import COLUMNS, DOTS, SHARED_BYTES, Columns, Dots, Thin, candidates, thin_kernel
from rusty_py.runtime.launch import launch

from .placed import ORDERS, PlacedProduct
from .products import assert_product, uniform

# Small, so that small products meet every edge; CPU drivers compile long kernels slowly.
CUTS = [
    Columns(1, lanes_n=8, lanes_k=4, steps=2),
    Columns(4, lanes_n=4, lanes_k=2, steps=1),
    Columns(2, lanes_n=4, lanes_k=1, steps=2),
    Columns(1, lanes_n=2, lanes_k=16, steps=1),
    Dots(1, cols=2, lanes_n=4, lanes_k=4, steps=2),
    Dots(4, cols=1, lanes_n=2, lanes_k=2, steps=1),
    Dots(2, cols=2, lanes_n=1, lanes_k=1, steps=2),
    Dots(1, cols=1, lanes_n=1, lanes_k=128, steps=1),
]
SHIPPED = [*COLUMNS.values(), *DOTS.values()]


def thin(cut: Thin, m: int, k: int, n: int, **changes: object) -> PlacedProduct:
    """b, or the transpose of a where turned, lies as the cut takes it."""
    along = "columns" if isinstance(cut, Dots) else "rows"
    across = "rows" if isinstance(cut, Dots) else "columns"
    orders = {"a_order": across} if changes.get("turned") else {"b_order": along}
    return PlacedProduct(cut, m, k, n, **(orders | changes))  # type: ignore[arg-type]


@st.composite
def products(draw: st.DrawFn, cuts: list[Thin]) -> PlacedProduct:
    cut = draw(st.sampled_from(cuts))
    fours, turned = draw(st.booleans()), draw(st.booleans())
    few, many = draw(st.integers(1, 9)), draw(st.integers(1, 20)) * (4 if fours else 1)
    m, n = (many, few) if turned else (few, many)
    k = draw(st.integers(1, 150)) * (4 if fours else 1)
    parts = draw(st.booleans())
    return thin(
        cut,
        m,
        k,
        n,
        turned=turned,
        seed=draw(st.integers(0, 2**32 - 1)),
        products=draw(st.integers(1, 3)),
        splits=draw(st.integers(1, 5)),
        fours=fours,
        **{"b_order" if turned else "a_order": draw(st.sampled_from(ORDERS))},
        c_order=draw(st.sampled_from(["rows", "upside down"])),
        start=draw(st.integers(0, 9)),
        add=draw(st.booleans()),
        limits={"groups": 3, "loop_steps": cut.loops(48)} if parts else {},
    )


def assert_right(device: Device, product: PlacedProduct) -> None:
    assert product.expected().error(product.compute(device, launch)) <= 1, product


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=products(CUTS))
def test_a_thin_product_of_any_shape_and_layout(device: Device, product: PlacedProduct) -> None:
    assert_right(device, product)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(product=products([CUTS[0], CUTS[4]]), bias=st.booleans(), activation=st.sampled_from(["", "relu"]))
def test_a_thin_product_with_an_epilogue(
    device: Device, product: PlacedProduct, bias: bool, activation: str
) -> None:
    assert_right(device, replace(product, bias=bias, activation=activation))


@pytest.mark.one_mode  # The small ones, whose text is the same, are tried in both, and by fours and by ones.
@pytest.mark.parametrize(
    ("cut", "fours"), [pytest.param(cut, i % 2 == 0, id=cut.name) for i, cut in enumerate(SHIPPED)]
)
def test_each_shipped_cut_computes(device: Device, cut: Thin, fours: bool) -> None:
    k, n = (4 * cut.chunk + 8, 2 * cut.block[1] + 4) if fours else (3 * cut.chunk + 5, cut.block[1] + 1)
    assert_right(device, thin(cut, cut.rows, k, n, splits=2, fours=fours))


@pytest.mark.parametrize("cut", [CUTS[0], CUTS[4]], ids=lambda cut: cut.name)
@pytest.mark.parametrize("fours", [True, False], ids=["by four", "by one"])
def test_thin_products_store_f16_and_sum_in_f32(device: Device, cut: Thin, fours: bool) -> None:
    if "shader-f16" not in device.adapter.features:
        pytest.skip("the adapter has no f16")
    product = thin(cut, 3, 100, 44, fours=fours, splits=3, add=True, bias=True, stored=F16, result=F16)
    assert_right(device, product)


@pytest.mark.parametrize("cut", CUTS[::4], ids=lambda cut: cut.name)
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 7, 1), (1, 1031, 1), (3, 65_536, 5), (1, 3, 4099)])
@pytest.mark.parametrize("turned", [False, True], ids=["few rows", "few columns"])
def test_a_thin_product_of_odd_sizes(device: Device, cut: Thin, m: int, k: int, n: int, turned: bool) -> None:
    assert_right(device, thin(cut, *((n, k, m) if turned else (m, k, n)), turned=turned, add=True))


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_more_parts_than_terms_are_no_parts(device: Device, cut: Thin) -> None:
    assert_right(device, thin(cut, 2, 3, 5, splits=7))


@pytest.mark.parametrize("cut", CUTS[::4], ids=lambda cut: cut.name)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_the_end_of_a_sum_adds_no_odd_number_twice(
    device: Device, cut: Thin, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = thin(cut, 3, 37, 11)
    a, b, bias, before = product.operands()
    a[0, 1, -1] = b[0, -1, 4] = value
    monkeypatch.setattr(PlacedProduct, "operands", lambda self: (a, b, bias, before))
    found = product.compute(device, launch)[: 3 * 11].reshape(3, 11)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, a[0] @ b[0], rtol=1e-4, atol=1e-4)


@pytest.mark.one_mode  # The kernels by themselves are tried in both, above.
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    few=st.integers(1, 5),
    k=st.integers(1, 300),
    many=st.integers(1, 150),
    turned=st.booleans(),
    transposed=st.tuples(st.booleans(), st.booleans()),
    bias=st.booleans(),
)
@example(few=1, k=256, many=64, turned=True, transposed=(False, False), bias=True)
def test_matmul_of_few_rows_or_columns(
    device: Device, few: int, k: int, many: int, turned: bool, transposed: tuple[bool, bool], bias: bool
) -> None:
    m, n = (many, few) if turned else (few, many)
    a = uniform(k, m, seed=1).T if transposed[0] else uniform(m, k, seed=1)
    b = uniform(n, k, seed=2).T if transposed[1] else uniform(k, n, seed=2)
    # A bias as one term more of each sum.
    row = uniform(n, seed=3)
    wide = np.hstack([a, np.ones((m, 1), np.float32)]), np.vstack([b, row])
    c = matmul(a, b, bias=row if bias else None, device=device)
    assert_product(c, *(wide if bias else (a, b)))


@pytest.mark.parametrize("cut", [*CUTS, *SHIPPED], ids=lambda cut: cut.name)
def test_a_cut_is_one_that_its_kernel_can_be(cut: Thin) -> None:
    sums = cut.rows if isinstance(cut, Columns) else cut.rows * cut.cols
    assert cut.shared <= cut.lanes_k
    assert sums % cut.shared == 0
    form = Form(b_along_k=isinstance(cut, Dots))
    assert cut.spec(Problem(1, 1, 1, form=form)).workgroup_bytes <= SHARED_BYTES


def test_the_cut_of_a_problem_has_as_many_rows_or_somewhat_more() -> None:
    found = [thin_kernel(Problem(m, 8, 8)) for m in (1, 2, 3, 5, 8, 9, 16, 17)]
    assert found == [*(COLUMNS[rows] for rows in (1, 2, 4, 8, 8, 16, 16)), None]
    assert thin_kernel(Problem(3, 8, 8, form=Form(b_along_k=True))) is DOTS[4]


def test_few_columns_are_few_rows_of_the_transpose(unchecked: Device) -> None:
    problem = Problem(4096, 1024, 3)
    assert not list(candidates(Columns, unchecked.limits, problem))
    plans = list(candidates(Dots, unchecked.limits, problem))
    assert {(each.kernel, each.turned) for each in plans} == {(DOTS[4], True)}
    assert [each.splits for each in plans] == [1, 2, 4]
    assert plans[0].seen == Problem(3, 1024, 4096, form=problem.form.turned())


def test_a_gpu_reads_thin_operands_with_hundreds_of_workgroups(unchecked: Device) -> None:
    from rusty_py.gemm.select import _chosen

    for problem in (Problem(1, 4096, 4096), Problem(4096, 8192, 1), Problem(8, 4096, 4096)):
        chosen = _chosen(unchecked.limits, "DiscreteGPU", problem)
        assert isinstance(chosen.kernel, Columns | Dots)
        assert -(-chosen.seen.n // chosen.kernel.block[1]) * chosen.splits >= 256
    on_cpu = _chosen(unchecked.limits, "CPU", Problem(512, 512, 512))
    assert on_cpu.kernel.name.startswith("direct")
