"""What `matmul` decides before it needs a device."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rusty_py import Device, DtypeError, LimitError, Limits, ShapeError, matmul
from rusty_py.ops import matmul as ops
from rusty_py.ops.blocked import BLOCK_K, BLOCKINGS, Blocking
from rusty_py.ops.matmul import TILES, check_tile, choose_spec, spec_of, variants
from rusty_py.shapes import ceil_div

ONES = np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    ("a", "b"), [((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((0,), (0,))]
)
def test_a_product_without_terms_needs_no_device(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    product = matmul(np.ones(a, np.float32), np.ones(b, np.float32))
    expected = np.matmul(np.ones(a, np.float32), np.ones(b, np.float32))
    assert (product.shape, product.dtype, type(product)) == (expected.shape, expected.dtype, type(expected))
    np.testing.assert_array_equal(product, expected)


def test_inner_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"^matmul: inner sizes differ: a is \(2, 3\), b is \(4, 5\)$"):
        matmul(np.ones((2, 3), np.float32), np.ones((4, 5), np.float32))


def test_leading_axes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(ShapeError, match="leading axes do not broadcast"):
        matmul(np.ones((2, 3, 3), np.float32), np.ones((4, 3, 3), np.float32))


@pytest.mark.parametrize(("a", "b"), [(2.0, ONES), (ONES, np.float32(2))])
def test_scalars_are_refused(a: object, b: object) -> None:
    with pytest.raises(ShapeError, match=r"is a scalar; use a \* b$"):
        matmul(a, b)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64, np.float16, np.bool_, np.complex64])
@pytest.mark.parametrize("side", ["a", "b"])
def test_what_float32_may_not_hold_is_refused_on_either_side(dtype: type[np.generic], side: str) -> None:
    other = np.ones((3, 3), dtype)
    with pytest.raises(DtypeError, match=r"pass dtype='f32' to compute in float32$"):
        matmul(*((other, ONES) if side == "a" else (ONES, other)))


def test_lists_are_float64_and_so_refused() -> None:
    with pytest.raises(DtypeError, match="got float64"):
        matmul([[1.0]], [[2.0]])


def test_complex_numbers_are_refused_with_a_dtype_too() -> None:
    with pytest.raises(DtypeError, match=r"^matmul: cannot turn complex128 into f32$"):
        matmul(ONES.astype(complex), ONES, dtype="f32")


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(DtypeError, match="unknown dtype: 'f16'"):
        matmul(ONES, ONES, dtype="f16")


@pytest.mark.parametrize("tile", [0, 4, 12, 64, -8, "8", "tiled", ""])
def test_a_tile_without_a_kernel_is_refused_with_the_choice(tile: int | str) -> None:
    with pytest.raises(LimitError, match=r"^matmul: no such tile: .*; choose 8, 16, 32, 'naive' or 'auto'$"):
        matmul(ONES, ONES, tile=tile)


@pytest.mark.parametrize("tile", ["auto", "naive", *TILES])
def test_the_tiles_there_are_pass(tile: int | str) -> None:
    check_tile(tile)


def test_everything_but_the_arrays_goes_by_keyword() -> None:
    with pytest.raises(TypeError, match="positional"):
        matmul(ONES, ONES, "f32")


def test_each_variant_is_a_spec_of_its_own() -> None:
    assert [str(spec) for spec in variants()] == [
        "matmul/naive",
        "matmul/tiled[TILE=8]",
        "matmul/tiled[TILE=16]",
        "matmul/tiled[TILE=32]",
        "matmul/blocked[128x128]",
        "matmul/blocked[64x128]",
        "matmul/blocked[64x32]",
    ]


@pytest.mark.parametrize("tile", TILES)
def test_a_tile_takes_its_square_in_threads_and_two_of_it_in_memory(tile: int) -> None:
    spec = spec_of(tile)
    assert (spec.threads, spec.workgroup_bytes) == (tile * tile, 2 * tile * tile * 4)


def device(*, is_cpu: bool = False, **changes: int) -> Device:
    """As much of a device as a choice of kernel and its launches ask for; its work is never too long."""
    usual = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)
    return SimpleNamespace(
        adapter=SimpleNamespace(is_cpu=is_cpu),
        limits=replace(usual, **changes),
        pace=SimpleNamespace(flops=lambda spec: 10**15),
    )


@pytest.mark.parametrize(
    ("on", "m", "n", "expected"),
    [
        (device(is_cpu=True), 4096, 4096, "naive"),
        (device(), 4096, 4096, 32),
        (device(), 512, 512, 32),
        (device(), 511, 4096, 16),
        (device(), 8, 8, 16),
        (device(threads=256), 4096, 4096, 16),
        (device(threads=128), 4096, 4096, 8),
    ],
)
def test_auto_takes_large_tiles_where_they_fill_a_gpu(
    on: Device, m: int, n: int, expected: int | str
) -> None:
    assert choose_spec(on, m, n) == spec_of(expected)


@pytest.mark.parametrize(
    ("on", "sizes", "expected"),
    [
        (device(), (4096, 4096, 4096), "128x128"),
        (device(), (2048, 16, 2048), "128x128"),
        (device(), (1024, 1024, 1024), "64x128"),
        (device(), (512, 512, 512), "64x32"),
        (device(), (64, 16, 32), "64x32"),
        (device(), (128, 16, 8192), "64x128"),
        (device(threads=128), (4096, 4096, 4096), "64x128"),
        (device(workgroup_bytes=16384), (4096, 4096, 4096), "64x32"),
    ],
    ids=str,
)
def test_auto_takes_the_largest_block_that_keeps_a_gpu_busy(
    on: Device, sizes: tuple[int, int, int], expected: str
) -> None:
    m, k, n = sizes
    assert choose_spec(on, m, n, k=k).variant == expected


@pytest.mark.parametrize("sizes", [(100, 64, 64), (64, 40, 64), (64, 64, 40)], ids=str)
def test_what_blocks_do_not_divide_takes_tiles(sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    assert choose_spec(device(), m, n, k=k) == spec_of(16)


@pytest.mark.parametrize("blocking", BLOCKINGS, ids=lambda each: each.spec.variant)
def test_a_blocking_keeps_the_rules_of_its_kernel(blocking: Blocking) -> None:
    lanes_n = 32 // blocking.lanes_m
    assert blocking.block_m % (blocking.lanes_m * blocking.thread_m) == 0
    assert blocking.block_n % (lanes_n * blocking.thread_n) == 0
    # The columns of the tile of a are exchanged within groups of 8 vec4.
    assert blocking.lanes_m % 8 == 0
    assert blocking.threads * 4 // BLOCK_K % 32 == 0
    # All threads load the same number of vec4.
    assert BLOCK_K * blocking.block_m // 4 % blocking.threads == 0
    assert BLOCK_K * blocking.block_n // 4 % blocking.threads == 0


def test_blocks_of_a_long_product_begin_where_the_kernel_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    on = device(loop_steps=40, groups=7)
    monkeypatch.setattr(ops, "prepare", lambda device, spec, **about: about["dims"])
    for blocking in BLOCKINGS:
        for dims in ops.launches(on, blocking.spec, *"abc", m=1024, k=2048, n=2048):
            row0, col0, k0, k1 = dims[3:7]
            assert (row0 % blocking.block_m, col0 % blocking.block_n) == (0, 0)
            assert (k0 % BLOCK_K, k1 % BLOCK_K) == (0, 0)


@pytest.mark.parametrize("tile", ["naive", *TILES])
@pytest.mark.parametrize("loop_steps", [100, 65_535])
def test_no_dispatch_loops_further_than_the_driver_can(
    monkeypatch: pytest.MonkeyPatch, tile: int | str, loop_steps: int
) -> None:
    on = device(loop_steps=loop_steps)
    monkeypatch.setattr(ops, "prepare", lambda device, spec, **about: about["dims"])
    sums = [dims[5:8] for dims in ops.launches(on, spec_of(tile), *"abc", m=3, k=200_000, n=5)]
    for k0, k1, accumulate in sums:
        tiles = 0 if tile == "naive" else ceil_div(k1 - k0, tile)
        assert k1 - k0 + tiles <= loop_steps
        assert accumulate == (k0 > 0)
    assert [k0 for k0, _, _ in sums] == [0, *(k1 for _, k1, _ in sums[:-1])]
    assert sums[-1][1] == 200_000


@pytest.mark.parametrize("tile", ["naive", *TILES])
def test_no_dispatch_has_more_groups_than_the_device_allows(
    monkeypatch: pytest.MonkeyPatch, tile: int | str
) -> None:
    monkeypatch.setattr(ops, "prepare", lambda device, spec, **about: about["workgroups"])
    groups = ops.launches(device(groups=7), spec_of(tile), *"abc", m=1000, k=3, n=900)
    assert max(map(max, groups)) <= 7
    assert len(groups) > 1


def test_a_tile_that_is_asked_for_is_taken_or_refused() -> None:
    assert choose_spec(device(is_cpu=True), 8, 8, tile=32) == spec_of(32)
    with pytest.raises(LimitError, match=r"needs 1024 threads .* allows 256; try a smaller tile$"):
        choose_spec(device(threads=256), 8, 8, tile=32)
    with pytest.raises(LimitError, match=r"needs 8192 bytes of workgroup memory, .* allows 4096"):
        choose_spec(device(workgroup_bytes=4096), 8, 8, tile=32)
