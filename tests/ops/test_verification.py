"""Kernels with one fault each, on a real device: verification must find it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rusty_py import Device, shaders
from rusty_py.bench.matmul_suite import MatmulSetup, MatmulWork, problem, variant_of
from rusty_py.measure.document import Verification
from rusty_py.measure.verification import MatmulVerifier
from rusty_py.runtime.launch import Launch

pytestmark = pytest.mark.one_mode
Break = Callable[[str, str, str], None]


@pytest.fixture
def fresh(unchecked: Device) -> Iterator[Device]:
    """A device that has compiled nothing yet."""
    with Device(unchecked.adapter, checked=False) as fresh:
        yield fresh


@pytest.fixture
def broken(kernels: Path) -> Break:
    """Replaces a piece of a kernel's text, which must be there once."""

    def replace_in(name: str, old: str, new: str) -> None:
        path = kernels / f"{name}.wgsl"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        shaders.read.cache_clear()

    return replace_in


def work(device: Device, n: int, tile: int | str, *, full: bool = True) -> MatmulWork:
    """A kernel at n cubed; without `full`, verified as if that were too much for float64."""
    size = problem(n, n, n)
    setup = MatmulSetup(size, device, np.random.default_rng(n))
    if not full:
        setup.verifier = MatmulVerifier(n, n, n, rng=np.random.default_rng(n), full_flops=0)
    return setup.work(variant_of(tile))


def name_of(tile: int | str) -> str:
    return "matmul/naive" if tile == "naive" else "matmul/tiled"


ONE_WRONG = ("c[c_index] = acc;", "if (row == 300u && col == 77u) { acc += 1.0; }\nc[c_index] = acc;")


def assert_right(verification: Verification) -> None:
    assert verification.fault == ""
    assert verification.ok
    assert 0 < verification.error < 1


@pytest.mark.parametrize("full", [True, False], ids=["float64", "Freivalds"])
@pytest.mark.parametrize("n", [31, 128])
def test_our_kernels_are_verified(device: Device, tile: int | str, n: int, full: bool) -> None:
    verified = work(device, n, tile, full=full)
    assert_right(verified.verify())
    assert_right(verified.recheck())


@pytest.mark.parametrize("tile", ["naive", 16])
def test_one_wrong_element_at_512_is_refused(fresh: Device, broken: Break, tile: int | str) -> None:
    broken(name_of(tile), *ONE_WRONG)
    verification = work(fresh, 512, tile).verify()
    assert verification.fault.startswith(
        "1 of 262,144 elements outside the rounding bound, first c[300, 77] = "
    )


def test_one_wrong_element_is_refused_by_exact_integers(
    fresh: Device, broken: Break, tile: int | str
) -> None:
    broken(name_of(tile), *ONE_WRONG)
    verification = work(fresh, 320, tile, full=False).verify()
    assert verification.fault == "1 of 320 rows of an integer product are wrong, first row 300"


@pytest.mark.slow
def test_one_wrong_element_at_2048_is_refused(fresh: Device, broken: Break) -> None:
    broken("matmul/naive", *ONE_WRONG)
    verification = work(fresh, 2048, "naive").verify()
    assert verification.fault == "1 of 2,048 rows of an integer product are wrong, first row 300"


@pytest.mark.parametrize("full", [True, False], ids=["float64", "Freivalds"])
@pytest.mark.parametrize(
    ("tile", "old", "new"),
    [
        ("naive", "k < k1;", "k + 1u < k1;"),
        (16, "k0 < k_end;", "k0 + TILE < k_end;"),
        (16, "for (var i = 0u;", "for (var i = 1u;"),
        (16, "select(0.0, a_value, a_k < k_end)", "a_value"),
    ],
    ids=["last term", "last tile", "first of each tile", "padding"],
)
def test_a_wrong_sum_is_refused(
    fresh: Device, broken: Break, tile: int | str, old: str, new: str, full: bool
) -> None:
    broken(name_of(tile), old, new)
    if new == "a_value":
        broken("matmul/tiled", "select(0.0, b_value, b_k < k_end)", "b_value")
    assert not work(fresh, 130, tile, full=full).verify().ok


@pytest.mark.parametrize("full", [True, False], ids=["float64", "Freivalds"])
def test_inputs_of_lower_precision_are_refused(fresh: Device, broken: Break, full: bool) -> None:
    def half(x: str) -> str:
        return f"bitcast<f32>(bitcast<u32>({x}) & 0xffffe000u)"  # The 10 bits of a float16's fraction.

    a, b = "a[a_row + k * uniforms.a_col_stride]", "b[b_col + k * uniforms.b_row_stride]"
    broken("matmul/naive", f"{a} * {b}", f"{half(a)} * {half(b)}")
    verification = work(fresh, 256, "naive", full=full).verify()
    assert "elements outside the rounding bound" in verification.fault


def test_a_short_dispatch_is_refused_with_the_part_never_written(
    fresh: Device, monkeypatch: pytest.MonkeyPatch, tile: int | str
) -> None:
    launches = MatmulWork.launches

    def short(work: MatmulWork) -> list[Launch]:
        return [
            replace(each, encoded=each.encoded._replace(y=each.encoded.y * 3 // 8)) for each in launches(work)
        ]

    monkeypatch.setattr(fresh.throughput, "flops", lambda kernel, **kwargs: 10**12)
    monkeypatch.setattr(MatmulWork, "launches", short)
    assert work(fresh, 256, tile).verify().fault == "62.50% of the result never written"


@pytest.mark.parametrize("full", [True, False], ids=["float64", "Freivalds"])
def test_a_kernel_that_writes_nothing_is_refused(fresh: Device, broken: Break, full: bool) -> None:
    broken("matmul/naive", "c[c_index] = acc;", "if (acc == 12345.678) { c[c_index] = acc; }")
    assert work(fresh, 64, "naive", full=full).verify().fault == "100.00% of the result never written"


def test_a_right_result_from_before_does_not_pass_for_a_new_one(fresh: Device) -> None:
    verified = work(fresh, 64, "naive")
    assert_right(verified.verify())
    verified.poison()
    assert verified.recheck().fault == "100.00% of the result never written"


@pytest.mark.parametrize("full", [True, False], ids=["float64", "Freivalds"])
def test_an_element_that_changes_after_the_proof_is_found(fresh: Device, full: bool) -> None:
    verified = work(fresh, 256, "naive", full=full)
    assert_right(verified.verify())
    c = np.empty((256, 256), np.float32)
    fresh.read(verified.c, c)
    c[:, 77] += 1.0
    fresh.write(verified.c, c)
    assert not verified.recheck().ok
