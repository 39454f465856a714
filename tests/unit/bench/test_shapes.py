"""How sizes are written, and what the preset holds."""

import pytest

from rusty_py.bench.matmul_suite import layouts_of, problem_of, product_of
from rusty_py.bench.shapes import LAYOUTS, SHAPES, Size, parse, preset
from rusty_py.gemm.problem import MatrixLayout


@pytest.mark.parametrize(
    ("text", "size", "name"),
    [
        ("512", Size(512, 512, 512), "512×512×512"),
        ("512x2048x64", Size(512, 2048, 64), "512×2048×64"),
        ("8x512x2048x64", Size(512, 2048, 64, products=8), "8×512×2048×64"),
        ("1x2x3x4", Size(2, 3, 4), "2×3×4"),
        ("512:tn", Size(512, 512, 512, layout="tn"), "512×512×512 tn"),
        ("512:nn", Size(512, 512, 512), "512×512×512"),
        ("8x5x6x7:tt", Size(5, 6, 7, products=8, layout="tt"), "8×5×6×7 tt"),
    ],
)
def test_a_size_is_read_and_named(text: str, size: Size, name: str) -> None:
    assert parse(text) == size
    assert str(parse(text)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "64x64",
        "64x0x64",
        "0x8x8x8",
        "1x2x3x4x5",
        "64:",
        "64:nx",
        "64:n",
        "64:NT",
        "64 tn",
        "-5",
        "1e3",
    ],
)
def test_what_is_no_size_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a size: N, MxKxN or PxMxKxN .* each 1 or more; add :nt, :tn or :tt"
    ):
        parse(text)


def test_flops_count_every_product() -> None:
    assert Size(3, 5, 7, products=4).flops == 4 * 2 * 3 * 5 * 7


def test_the_preset_holds_each_size_once() -> None:
    texts = [text for texts in SHAPES.values() for text in texts]
    assert preset() == [parse(text) for text in texts]
    assert len(set(preset())) == len(texts)


def test_the_preset_has_every_kind_of_product() -> None:
    sizes = preset()
    assert {Size(n, n, n) for n in (64, 128, 256, 512, 1024, 2048, 4096, 8192)} <= set(sizes)
    assert {Size(n, n, n) for n in (1000, 1023, 2047, 4095)} <= set(sizes)
    assert {size.layout for size in sizes} == set(LAYOUTS)
    for minimum in (1, 4, 16):
        assert any(size.m == minimum for size in sizes)
        assert any(size.n == minimum for size in sizes)
    assert any(size.products > 1 for size in sizes)
    assert any(size.k >= 64 * max(size.m, size.n) for size in sizes)


def test_no_size_of_the_preset_needs_a_binding_larger_than_webgpu_promises_a_gpu() -> None:
    for size in preset():
        largest = max(size.m * size.k, size.k * size.n, size.m * size.n) * size.products
        assert 4 * largest <= 2**28, size


def test_transposed_operands_lie_column_by_column() -> None:
    problem = problem_of(Size(8, 12, 20, products=3, layout="tn"))
    assert layouts_of(problem) == (
        MatrixLayout(0, 96, 1, 8),
        MatrixLayout(0, 240, 20, 1),
        MatrixLayout(0, 160, 20, 1),
    )
    product = product_of(problem)
    assert (product.products, product.signature.a_along_k, product.signature.b_along_k) == (3, False, False)
