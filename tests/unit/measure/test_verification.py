"""The exam must pass right products and no other; here NumPy plays the kernel."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import LimitError
from rusty_py.measure.verification import POISON, MatmulVerifier, freivalds_fault

Matrix = np.ndarray
GemmProblem = Callable[[Matrix, Matrix], Matrix]


def right(a: Matrix, b: Matrix) -> Matrix:
    return a @ b


def altered(change: Callable[[Matrix], None]) -> GemmProblem:
    """The right product, but for a change to the result."""

    def product(a: Matrix, b: Matrix) -> Matrix:
        c = a @ b
        change(c)
        return c

    return product


def rounded(keep: Callable[[Matrix], Matrix]) -> GemmProblem:
    """The product of inputs in a lower precision, summed in float32, as matrix units do it."""
    return lambda a, b: keep(a) @ keep(b)


def float16(x: Matrix) -> Matrix:
    return x.astype(np.float16).astype(np.float32)


def mantissa(bits: int) -> Callable[[Matrix], Matrix]:
    """float32 with fewer bits behind the point: 7 are bfloat16, 10 are TF32."""

    def keep(x: Matrix) -> Matrix:
        drop = 23 - bits
        words = x.view(np.uint32) + np.uint32(1 << (drop - 1))
        return (words >> drop << drop).view(np.float32)

    return keep


LOWER = [
    pytest.param(float16, id="float16"),
    pytest.param(mantissa(7), id="bfloat16"),
    pytest.param(mantissa(10), id="TF32"),
]


def one_off(row: int, col: int, by: float) -> Callable[[Matrix], None]:
    def change(c: Matrix) -> None:
        c[row, col] += by

    return change


def unwritten(rows: int) -> Callable[[Matrix], None]:
    def change(c: Matrix) -> None:
        c.view(np.uint32)[-rows:] = POISON

    return change


@pytest.fixture(scope="module")
def verifier() -> MatmulVerifier:
    """512 cubed: every element is compared with float64."""
    return MatmulVerifier(512, 512, 512, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def large() -> MatmulVerifier:
    """2048 cubed: integers by Freivalds' test, and a sample of rows."""
    return MatmulVerifier(2048, 2048, 2048, rng=np.random.default_rng(2))


@pytest.fixture(params=["verifier", "large"])
def either(request: pytest.FixtureRequest) -> MatmulVerifier:
    return request.getfixturevalue(request.param)


def test_the_size_decides_the_method(verifier: MatmulVerifier, large: MatmulVerifier) -> None:
    assert verifier.full
    assert verifier.method == "every element against float64"
    assert not large.full
    assert large.method.startswith("every element by exact integers (Freivalds, 3 vectors), 3")
    assert {0, 2047} <= set(large.rows.tolist())


def test_a_right_product_passes(either: MatmulVerifier) -> None:
    proof, c = either.verify(right)
    assert proof.ok
    assert proof.fault == ""
    assert 0 < proof.error < 1
    assert 0 < proof.relative_error < 1e-5
    np.testing.assert_array_equal(c, either.a @ either.b)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 600, 1), (3, 1, 5), (1, 64, 64), (70, 33, 1)])
@pytest.mark.parametrize("full_flops", [0, 2**31])
def test_right_products_of_odd_sizes_pass(size: tuple[int, int, int], full_flops: int) -> None:
    verifier = MatmulVerifier(*size, rng=np.random.default_rng(3), full_flops=full_flops)
    proof, _ = verifier.verify(right)
    assert (verifier.full, proof.fault) == (full_flops > 0, "")


@pytest.mark.parametrize(("row", "col"), [(0, 0), (300, 77), (511, 511)])
@pytest.mark.parametrize("by", [1.0, -1.0, 0.01])
def test_one_wrong_element_of_512_cubed_is_refused(
    verifier: MatmulVerifier, row: int, col: int, by: float
) -> None:
    proof, _ = verifier.verify(altered(one_off(row, col, by)))
    assert not proof.ok
    assert proof.fault.startswith("1 of 262,144 elements outside the rounding bound, first")
    assert f"c[{row}, {col}]" in proof.fault
    assert proof.error > 1


@pytest.mark.parametrize(("row", "col"), [(0, 0), (300, 77), (1023, 2047), (2047, 2047)])
def test_one_integer_off_by_one_of_2048_squared_is_refused(large: MatmulVerifier, row: int, col: int) -> None:
    proof, _ = large.verify(altered(one_off(row, col, 1.0)))
    assert proof.fault == f"1 of 2,048 rows of an integer product are wrong, first row {row}"


def test_one_integer_off_in_the_last_place_is_refused(large: MatmulVerifier) -> None:
    def change(c: Matrix) -> None:
        c[300, 77] = np.nextafter(c[300, 77], np.float32(np.inf))

    proof, _ = large.verify(altered(change))
    assert "1 of 2,048 rows of an integer product are wrong, first row 300" in proof.fault


def test_two_errors_that_cancel_in_a_sum_are_refused(large: MatmulVerifier) -> None:
    def change(c: Matrix) -> None:
        c[300, 77] += 1
        c[300, 78] -= 1

    assert not large.verify(altered(change))[0].ok


def test_a_dropped_last_term_is_refused(either: MatmulVerifier) -> None:
    assert not either.verify(lambda a, b: a[:, :-1] @ b[:-1])[0].ok


def test_a_transposed_product_is_refused(either: MatmulVerifier) -> None:
    assert not either.verify(lambda a, b: np.ascontiguousarray((a @ b).T))[0].ok


def test_the_part_never_written_is_refused_and_measured(either: MatmulVerifier) -> None:
    rows = round(0.6133 * either.m)
    proof, _ = either.verify(altered(unwritten(rows)))
    assert proof.fault == f"{rows / either.m:.2%} of the result never written"
    assert proof.fault.startswith("61.3")


def test_a_single_element_never_written_is_refused(verifier: MatmulVerifier) -> None:
    def change(c: Matrix) -> None:
        c.view(np.uint32)[511, 511] = POISON

    assert verifier.verify(altered(change))[0].fault == "0.00% of the result never written"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(either: MatmulVerifier, value: float) -> None:
    def change(c: Matrix) -> None:
        c[either.rows[1], 7] = value

    proof, _ = either.verify(altered(change))
    assert not proof.ok
    assert proof.error is None
    assert proof.relative_error is None


@pytest.mark.parametrize("keep", LOWER)
def test_a_lower_precision_is_refused(either: MatmulVerifier, keep: Callable[[Matrix], Matrix]) -> None:
    proof, _ = either.verify(rounded(keep))
    assert "elements outside the rounding bound" in proof.fault


@pytest.mark.parametrize("keep", LOWER)
@pytest.mark.parametrize("k", [4096, 16384])
def test_a_lower_precision_is_refused_in_long_sums(keep: Callable[[Matrix], Matrix], k: int) -> None:
    verifier = MatmulVerifier(256, k, 256, rng=np.random.default_rng(4))
    assert verifier.verify(right)[0].ok
    assert not verifier.verify(rounded(keep))[0].ok


@pytest.mark.parametrize("full_flops", [0, 2**31])
def test_sums_in_lower_precision_are_refused(full_flops: int) -> None:
    verifier = MatmulVerifier(64, 512, 64, rng=np.random.default_rng(5), full_flops=full_flops)

    def product(a: Matrix, b: Matrix) -> Matrix:
        c = np.zeros((64, 64), np.float16)
        for i in range(512):
            c += (a[:, i : i + 1] * b[i]).astype(np.float16)
        return c.astype(np.float32)

    with np.errstate(over="ignore", invalid="ignore"):
        assert not verifier.verify(product)[0].ok


def test_an_exam_sees_the_float_inputs_last(large: MatmulVerifier) -> None:
    seen = []

    def product(a: Matrix, b: Matrix) -> Matrix:
        seen.append((a, b))
        return a @ b

    large.verify(product)
    assert len(seen) == 2
    assert seen[1][0] is large.a
    assert seen[1][1] is large.b
    for integers in seen[0]:
        assert (integers == np.round(integers)).all()
        assert integers.any()


def test_products_too_long_for_exact_integers_cannot_be_verified() -> None:
    verifier = MatmulVerifier(1, 50_000, 1, rng=np.random.default_rng(6), dtype=F16, full_flops=0)
    with pytest.raises(
        LimitError, match=r"^cannot be verified: sums of 50,000 integers are not exact in f16"
    ):
        verifier.verify(right)


def in_f16(a: Matrix, b: Matrix) -> Matrix:
    """Sums in float32, rounded once."""
    return (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)


def in_f16_sums(a: Matrix, b: Matrix) -> Matrix:
    """Sums of eight in float16, their sums in float32."""
    c = np.zeros((*a.shape[:-1], b.shape[-1]), np.float32)
    for k in range(0, a.shape[-1], 8):
        part = np.zeros(c.shape, np.float16)
        for i in range(k, min(k + 8, a.shape[-1])):
            part += a[..., i : i + 1] * b[..., i : i + 1, :]
        c += part
    return c.astype(np.float16)


BATCH = (3, 40, 64, 24)


def batch(*, full_flops: int, dtype: Dtype = F32, accumulate_dtype: Dtype = F32) -> MatmulVerifier:
    """Three products, by float64 or by integers."""
    products, m, k, n = BATCH
    rng = np.random.default_rng(8)
    return MatmulVerifier(
        m,
        k,
        n,
        rng=rng,
        products=products,
        dtype=dtype,
        accumulate_dtype=accumulate_dtype,
        full_flops=full_flops,
    )


@pytest.mark.parametrize("full_flops", [0, 2**31])
@pytest.mark.parametrize(
    ("dtype", "accumulate_dtype", "product"),
    [(F32, F32, right), (F16, F32, in_f16), (F16, F16, in_f16), (F16, F16, in_f16_sums)],
    ids=["f32", "f16", "f16 by f32 sums", "f16 sums"],
)
def test_right_batches_of_any_dtype_pass(
    dtype: Dtype, accumulate_dtype: Dtype, product: GemmProblem, full_flops: int
) -> None:
    verifier = batch(dtype=dtype, accumulate_dtype=accumulate_dtype, full_flops=full_flops)
    proof, c = verifier.verify(product)
    assert (proof.fault, c.dtype, c.shape) == ("", dtype.numpy, verifier.shape)
    assert 0 < proof.error < 1
    assert verifier.recheck(c, c.copy()).ok


@pytest.mark.parametrize("which", range(3))
def test_one_wrong_element_of_any_product_is_refused(which: int) -> None:
    def change(c: Matrix) -> None:
        c[which, 17, 5] += 1.0

    fault = batch(full_flops=2**31).verify(altered(change))[0].fault
    assert fault.startswith("1 of 2,880 elements outside the rounding bound")
    assert f"c[{which}, 17, 5]" in fault
    fault = batch(full_flops=0).verify(altered(change))[0].fault
    assert fault == f"1 of 40 rows of an integer product are wrong, first row 17 of product {which}"


@pytest.mark.parametrize("full_flops", [0, 2**31])
def test_products_in_another_order_are_refused(full_flops: int) -> None:
    assert not batch(full_flops=full_flops).verify(lambda a, b: (a @ b)[::-1])[0].ok


def test_rows_of_every_product_are_sampled() -> None:
    verifier = batch(full_flops=0)
    assert set((verifier.rows // verifier.m).tolist()) == {0, 1, 2}
    assert {0, 39, 40, 79, 80, 119} <= set(verifier.rows.tolist())


def test_rechecking_finds_a_change_in_any_product() -> None:
    verifier = batch(full_flops=0)
    _, verified = verifier.verify(right)
    row = next(row for row in range(120) if row not in verifier.rows)
    changed = verified.copy()
    changed[row // 40, row % 40, 7] += 1.0
    assert verifier.recheck(changed, verified).fault == "1 elements changed while it was timed"


def test_sums_in_f16_are_refused_where_f32_ones_were_asked_for() -> None:
    verifier = MatmulVerifier(64, 512, 64, rng=np.random.default_rng(5), dtype=F16)
    assert verifier.verify(in_f16)[0].ok
    assert "outside the rounding bound" in verifier.verify(in_f16_sums)[0].fault


@pytest.mark.parametrize("full_flops", [0, 2**31])
def test_the_part_of_an_f16_product_that_was_never_written_is_refused(full_flops: int) -> None:
    def product(a: Matrix, b: Matrix) -> Matrix:
        c = in_f16(a, b)
        c[1, :20].view(np.uint16)[:] = POISON & 0xFFFF
        return c

    proof, _ = batch(dtype=F16, full_flops=full_flops).verify(product)
    assert proof.fault == "16.67% of the result never written"


def test_poison_is_no_number_whatever_reads_it() -> None:
    word = np.array([POISON], np.uint32)
    assert np.isnan(word.view(np.float32)).all()
    assert np.isnan(word.view(np.float16)).all()
    assert POISON & 0xFFFF == POISON >> 16


@pytest.mark.parametrize("k", [8192, 262_144])
def test_integers_stay_exact_in_long_sums(k: int) -> None:
    verifier = MatmulVerifier(8, k, 8, rng=np.random.default_rng(9), full_flops=0)
    assert verifier.verify(right)[0].ok


def test_rechecking_what_timing_left_passes(either: MatmulVerifier) -> None:
    _, verified = either.verify(right)
    assert either.recheck(verified.copy(), verified).ok


def test_rechecking_allows_another_order_of_sums(either: MatmulVerifier) -> None:
    _, verified = either.verify(right)
    backward = np.ascontiguousarray(either.a[:, ::-1]) @ np.ascontiguousarray(either.b[::-1])
    assert not (backward == verified).all()
    assert either.recheck(backward, verified).ok


def test_rechecking_finds_an_element_that_changed(either: MatmulVerifier) -> None:
    _, verified = either.verify(right)
    row = next(row for row in range(either.m) if either.full or row not in either.rows)
    c = verified.copy()
    c[row, 77] += 1.0
    fault = either.recheck(c, verified).fault
    assert fault.startswith("1 of") if either.full else fault == "1 elements changed while it was timed"


def test_rechecking_finds_what_was_never_written(either: MatmulVerifier) -> None:
    _, verified = either.verify(right)
    c = verified.copy()
    unwritten(1)(c)
    assert either.recheck(c, verified).fault.endswith("% of the result never written")


@given(
    m=st.integers(1, 12),
    k=st.integers(1, 40),
    n=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_freivalds_passes_every_right_product_of_integers(m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-63, 63, (m, k), endpoint=True).astype(np.float32)
    b = rng.integers(-63, 63, (k, n), endpoint=True).astype(np.float32)
    assert freivalds_fault(a, b, a @ b, rng=rng) == ""


@given(
    m=st.integers(1, 12),
    k=st.integers(1, 40),
    n=st.integers(1, 12),
    by=st.sampled_from([-(2.0**20), -1.0, -(2.0**-10), 2.0**-10, 1.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_freivalds_finds_every_wrong_element(m: int, k: int, n: int, by: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-7, 7, (m, k), endpoint=True).astype(np.float32)
    b = rng.integers(-7, 7, (k, n), endpoint=True).astype(np.float32)
    c = a @ b
    row, col = int(rng.integers(m)), int(rng.integers(n))
    c[row, col] += np.float32(by)
    assert freivalds_fault(a, b, c, rng=rng) == (
        f"1 of {m:,} rows of an integer product are wrong, first row {row}"
    )


def test_freivalds_is_exact_at_the_largest_sums() -> None:
    k = 4096
    a, b = np.full((4, k), 63, np.float32), np.full((k, 4096), 63, np.float32)
    c = np.full((4, 4096), 63 * 63 * k, np.float32)
    rng = np.random.default_rng(7)
    assert freivalds_fault(a, b, c, rng=rng) == ""
    c[2, 4095] -= 1
    assert freivalds_fault(a, b, c, rng=rng) == "1 of 4 rows of an integer product are wrong, first row 2"
