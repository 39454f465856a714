from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rusty_py import Device, DtypeError, LimitError, Limits, matmul
from rusty_py.gemm.simple import TILES
from rusty_py.runtime.launch import run

from .products import assert_product, launches, uniform

# Nothing, one, a prime, and both sides of each tile's edge.
EDGES = [0, 1, 13, *(edge + off for edge in TILES for off in (-1, 0, 1)), 67]
SIZES = st.one_of(st.sampled_from(EDGES), st.integers(0, 70))

A, B = uniform(33, 17, seed=1), uniform(17, 40, seed=2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(m=SIZES, k=SIZES, n=SIZES, seed=st.integers(0, 2**32 - 1))
@example(m=0, k=3, n=2, seed=0)
@example(m=2, k=0, n=3, seed=0)
@example(m=1, k=1, n=1, seed=0)
@example(m=33, k=31, n=33, seed=0)
@example(m=32, k=32, n=32, seed=0)
@example(m=31, k=33, n=31, seed=0)
def test_matmul_of_any_small_size(device: Device, tile: int | str, m: int, k: int, n: int, seed: int) -> None:
    a, b = uniform(m, k, seed=seed), uniform(k, n, seed=seed + 1)
    assert_product(matmul(a, b, tile=tile, device=device), a, b)


@pytest.mark.parametrize("edge", TILES)
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_matmul_of_sizes_at_the_edge_of_the_tile(device: Device, edge: int, off: int) -> None:
    size = edge + off
    a, b = uniform(size, 3 * edge + off, seed=1), uniform(3 * edge + off, 2 * edge + off, seed=2)
    assert_product(matmul(a, b, tile=edge, device=device), a, b)


def test_matmul_of_sizes_not_divisible_by_the_tile(device: Device, tile: int | str) -> None:
    a, b = uniform(251, 307, seed=1), uniform(307, 263, seed=2)
    assert_product(matmul(a, b, tile=tile, device=device), a, b)


def test_auto_chooses_a_kernel_that_is_right(device: Device) -> None:
    assert_product(matmul(A, B, device=device), A, B)


def strided(x: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """`x` as every so many rows and columns of a larger array."""
    wide = np.zeros((x.shape[0] * abs(rows), x.shape[1] * abs(cols)), x.dtype)
    view = wide[::rows, ::cols]
    view[...] = x
    return view


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "transposed": lambda x: x.T.copy().T,
    "fortran": np.asfortranarray,
    "every other row": lambda x: strided(x, 2, 1),
    "every third column": lambda x: strided(x, 1, 3),
    "negative strides": lambda x: strided(x, -1, -2),
    "read-only": read_only,
    "byte-swapped": lambda x: x.astype(">f4" if np.little_endian else "<f4"),
    "misaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_matmul_takes_any_memory_layout(device: Device, layout: str) -> None:
    a, b = LAYOUTS[layout](A), LAYOUTS[layout](B)
    np.testing.assert_array_equal(a, A)
    assert_product(matmul(a, b, device=device), A, B)
    assert_product(matmul(a, B, tile=16, device=device), A, B)
    assert_product(matmul(A, b, tile=16, device=device), A, B)


def test_matmul_of_a_matrix_and_its_own_transpose(device: Device, tile: int | str) -> None:
    assert_product(matmul(A, A.T, tile=tile, device=device), A, A.T)


def test_inputs_are_left_as_they_were(unchecked: Device) -> None:
    a, b = A.copy(), B.copy()
    c = matmul(a, b, device=unchecked)
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(b, B)
    assert not np.shares_memory(c, a)
    assert c.flags.writeable


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((17,), (17,)),
        ((1,), (1,)),
        ((17,), (17, 40)),
        ((33, 17), (17,)),
        ((1, 17), (17, 1)),
        ((17,), (3, 17, 5)),
        ((3, 5, 17), (17,)),
        ((3, 5, 17), (17, 4)),
        ((5, 17), (3, 17, 4)),
        ((3, 5, 17), (3, 17, 4)),
        ((2, 1, 5, 17), (3, 17, 4)),
        ((2, 1, 5, 17), (1, 3, 17, 4)),
        ((0, 5, 17), (1, 17, 4)),
        ((2, 5, 0), (0, 4)),
        ((2, 0, 3), (3, 4)),
    ],
    ids=str,
)
def test_shapes_follow_numpy(device: Device, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = uniform(*a, seed=1), uniform(*b, seed=2)
    assert_product(matmul(left, right, device=device), left, right)


def test_the_product_of_two_vectors_is_a_numpy_scalar(unchecked: Device) -> None:
    assert type(matmul(A[0], B[:, 0], device=unchecked)) is np.float32


def test_a_batch_may_have_strides_of_zero(unchecked: Device) -> None:
    a = np.broadcast_to(A, (3, *A.shape))
    assert_product(matmul(a, B, device=unchecked), a, B)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64, np.uint8, np.bool_])
def test_other_numbers_are_taken_where_f32_is_asked_for(unchecked: Device, dtype: type[np.generic]) -> None:
    a, b = (4 * A).astype(dtype), (4 * B).astype(dtype)
    with pytest.raises(DtypeError, match=r"pass dtype='f32' to compute in float32$"):
        matmul(a, b, device=unchecked)
    assert_product(matmul(a, b, dtype="f32", device=unchecked), a, b)


def test_lists_are_taken_where_f32_is_asked_for(unchecked: Device) -> None:
    product = matmul([[1, 2], [3, 4]], [[5.0], [6.0]], dtype="f32", device=unchecked)
    assert product.tolist() == [[17.0], [39.0]]


@pytest.mark.parametrize("dtype", [None, "f32"])
def test_complex_numbers_are_refused(unchecked: Device, dtype: str | None) -> None:
    with pytest.raises(DtypeError, match=r"^matmul: "):
        matmul(A.astype(np.complex64), B, dtype=dtype, device=unchecked)


def test_integers_in_float32_are_exact(device: Device, tile: int | str) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(-63, 63, (45, 300), endpoint=True).astype(np.float32)
    b = rng.integers(-63, 63, (300, 50), endpoint=True).astype(np.float32)
    np.testing.assert_array_equal(matmul(a, b, tile=tile, device=device), a.astype(int) @ b.astype(int))


@pytest.mark.parametrize("value", [np.inf, np.nan, 3e38])
def test_one_row_and_one_column_of_odd_numbers_stay_by_themselves(
    device: Device, tile: int | str, value: float
) -> None:
    a, b = uniform(35, 19, seed=1), uniform(19, 37, seed=2)
    expected = matmul(a, b, tile=tile, device=device)
    a[-1, -1], b[-1, -1] = value, value
    product = matmul(a, b, tile=tile, device=device)
    np.testing.assert_array_equal(product[:-1, :-1], expected[:-1, :-1])


def test_the_same_inputs_give_the_same_bits(device: Device, tile: int | str) -> None:
    first, second = (matmul(A, B, tile=tile, device=device) for _ in range(2))
    assert first.tobytes() == second.tobytes()


# A term is a step of the naive kernel; in tiles 65,536 terms are more steps than that, and take two launches.
@pytest.mark.parametrize(
    ("tile", "k"), [*product(["naive"], [65_535, 65_536, 70_000, 200_000]), *product(TILES, [65_536])]
)
def test_sums_longer_than_a_driver_can_loop(device: Device, tile: int | str, k: int) -> None:
    a, b = uniform(3, k, seed=1), uniform(k, 5, seed=2)
    assert_product(matmul(a, b, tile=tile, device=device), a, b)


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (31, 33, 31), (33, 31, 33), (32, 32, 32)])
def test_nothing_is_written_beyond_the_result(
    device: Device, tile: int | str, m: int, k: int, n: int
) -> None:
    a, b = uniform(m, k, seed=1), uniform(k, n, seed=2)
    around = np.full((m + 70) * n, 7.0, np.float32)
    left, right, c = (device.upload(x) for x in (a, b, around))
    run(device, launches(device, left, right, c, m=m, k=k, n=n, tile=tile))
    device.read(c, around)
    assert_product(around[: m * n].reshape(m, n), a, b)
    assert (around[m * n :] == 7.0).all()


def small(device: Device, **changes: int) -> Device:
    """A device like another, but for its limits."""
    limits = Limits(**(vars(device.adapter.limits) | changes))
    return Device(device.adapter, checked=device.checked, limits=limits)


@pytest.mark.parametrize(
    "changes",
    [
        {"binding_bytes": 4096},
        {"buffer_bytes": 8192},
        {"groups": 2},
        {"loop_steps": 100},
        {"groups": 3, "loop_steps": 70},
        {"binding_bytes": 8192, "groups": 3, "loop_steps": 70},
    ],
    ids=str,
)
def test_products_are_split_to_fit_a_small_device(
    device: Device, tile: int | str, changes: dict[str, int]
) -> None:
    a, b = uniform(101, 131, seed=1), uniform(131, 77, seed=2)
    with small(device, **changes) as narrow:
        assert_product(matmul(a, b, tile=tile, device=narrow), a, b)


@pytest.mark.usefixtures("short_kernels")
def test_splitting_is_real(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = uniform(101, 131), uniform(131, 77)
    with small(unchecked, binding_bytes=4096) as narrow:
        sent: list[int] = []
        write = narrow.write
        monkeypatch.setattr(narrow, "write", lambda buffer, x: sent.append(x.nbytes) or write(buffer, x))
        matmul(a, b, device=narrow)
    assert max(sent) <= 4096
    assert sum(sent) >= a.nbytes + b.nbytes
    assert len(sent) > 2 * 4 * 3


def test_a_product_in_many_submissions_is_right(
    device: Device, tile: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device.throughput, "flops", lambda kernel, **kwargs: 50_000)
    a, b = uniform(101, 131, seed=1), uniform(131, 77, seed=2)
    assert_product(matmul(a, b, tile=tile, device=device), a, b)


def test_a_device_whose_loops_are_shorter_than_a_tile_is_refused(unchecked: Device) -> None:
    with small(unchecked, loop_steps=20) as narrow, pytest.raises(LimitError):
        matmul(A, B, tile=32, device=narrow)


@pytest.mark.usefixtures("short_kernels")
def test_a_device_too_small_for_one_block_is_refused(unchecked: Device) -> None:
    a, b = uniform(40, 40, seed=1), uniform(40, 40, seed=2)
    with small(unchecked, binding_bytes=1024) as narrow:
        assert_product(matmul(a, b, device=narrow), a, b)
    with small(unchecked, binding_bytes=512) as narrow, pytest.raises(LimitError, match="one binding"):
        matmul(a, b, device=narrow)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"threads": 256},
            r"^matmul/tiled\[TILE=32\]: needs 1024 threads .* allows 256; try a smaller tile$",
        ),
        ({"workgroup_bytes": 4096}, r"^matmul/tiled\[TILE=32\]: needs 8192 bytes of workgroup memory"),
    ],
)
def test_a_tile_too_large_for_the_device_is_refused(
    unchecked: Device, changes: dict[str, int], said: str
) -> None:
    with small(unchecked, **changes) as narrow:
        with pytest.raises(LimitError, match=said):
            matmul(A, B, tile=32, device=narrow)
        assert_product(matmul(A, B, tile=16, device=narrow), A, B)


@pytest.mark.slow
def test_one_big_product(device: Device, tile: int | str) -> None:
    a, b = uniform(1021, 1031, seed=1), uniform(1031, 1013, seed=2)
    assert_product(matmul(a, b, tile=tile, device=device), a, b)
