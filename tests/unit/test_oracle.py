import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import oracle
from rusty_py.dtypes import F32

UNIT = 2.0**-24


def uniform(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32) * 2 - 1


def in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A float32 product whose sums run from first to last, each product and each sum rounded."""
    c = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for i in range(a.shape[1]):
        c += a[:, i : i + 1] * b[i : i + 1, :]
    return c


@pytest.mark.parametrize("k", [0, 1, 2, 63, 64])
def test_short_sums_get_the_worst_case(k: int) -> None:
    assert oracle.rounding_factor(k, F32) == k * UNIT


@pytest.mark.parametrize("k", [65, 4096, 10**6])
def test_long_sums_get_what_independent_roundings_allow(k: int) -> None:
    assert oracle.rounding_factor(k, F32) == pytest.approx(8 * k**0.5 * UNIT)


@given(st.integers(0, 10**9))
def test_the_factor_grows_with_the_sum(k: int) -> None:
    assert oracle.rounding_factor(k, F32) <= oracle.rounding_factor(k + 1, F32)


@given(m=st.integers(1, 9), k=st.integers(1, 300), n=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_float32_products_of_numpy_stay_within_the_bound(m: int, k: int, n: int, seed: int) -> None:
    a, b = uniform(m, k, seed=seed), uniform(k, n, seed=seed + 1)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert (np.abs(a @ b - reference) <= bound).all()
    assert (np.abs(in_order(a, b) - reference) <= bound).all()


@pytest.mark.parametrize("k", [4096, 70_000])
def test_long_float32_sums_in_order_stay_within_the_bound(k: int) -> None:
    a, b = uniform(16, k), uniform(k, 16, seed=1)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert (np.abs(in_order(a, b) - reference) <= bound).all()


def test_sums_of_one_sign_stay_within_the_bound() -> None:
    a, b = np.abs(uniform(16, 4096)), np.abs(uniform(4096, 16, seed=1))
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert (np.abs(in_order(a, b) - reference) <= bound).all()


def test_numbers_that_a_gpu_may_flush_to_zero_stay_within_the_bound() -> None:
    a, b = np.full((1, 8), 2.0**-70, np.float32), np.full((8, 1), 2.0**-70, np.float32)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert reference[0, 0] > 0
    assert abs(0.0 - reference[0, 0]) <= bound[0, 0]


@pytest.mark.parametrize("k", [64, 512, 1024])
def test_a_dropped_term_of_usual_size_leaves_the_bound(k: int) -> None:
    a, b = uniform(8, k), uniform(k, 8, seed=1)
    a[:, k // 2], b[k // 2] = 0.5, 0.5
    _, bound = oracle.matmul(a, b, dtype=F32)
    assert (2 * bound < 0.25).all()


def test_a_dropped_term_of_a_4096_long_sum_leaves_the_bound_unless_it_is_an_eighth_of_the_usual() -> None:
    a, b = uniform(8, 4096), uniform(4096, 8, seed=1)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    usual = 0.25  # The mean of |a b| for both uniform in [-1, 1).
    assert (np.abs(bound / usual - 1 / 8) < 0.02).all()
    term = int(np.argmin(np.abs(np.abs(a[0] * b[:, 0]) - usual)))
    shorter = np.delete(a, term, axis=1) @ np.delete(b, term, axis=0)
    assert abs(shorter[0, 0] - reference[0, 0]) > bound[0, 0]


def cut(x: np.ndarray) -> np.ndarray:
    """`x` in 11 bits, the precision of float16 and TF32."""
    return x.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 7, 64, 65, 512, 4096, 70_000])
def test_float32_sums_of_centred_terms_stay_within_the_tighter_bound(k: int) -> None:
    a, b = uniform(48, k), uniform(k, 48, seed=1)
    reference, bound = oracle.matmul(a, b, dtype=F32, centred=True)
    assert (np.abs(a @ b - reference) <= bound).all()
    assert (np.abs(in_order(a, b) - reference) <= bound).all()


@pytest.mark.parametrize("k", [512, 4096, 16384, 70_000])
def test_inputs_cut_to_11_bits_leave_the_tighter_bound(k: int) -> None:
    a, b = uniform(48, k), uniform(k, 48, seed=1)
    reference, bound = oracle.matmul(a, b, dtype=F32, centred=True)
    assert (np.abs(cut(a) @ cut(b) - reference) > bound).any()


@given(k=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_the_tighter_bound_is_never_the_looser_one(k: int, seed: int) -> None:
    a, b = uniform(5, k, seed=seed), uniform(k, 5, seed=seed + 1)
    _, general = oracle.matmul(a, b, dtype=F32)
    _, centred = oracle.matmul(a, b, dtype=F32, centred=True)
    assert (centred <= general).all()
    assert (centred <= oracle.centred_norm_bound(a, b, dtype=F32) * (1 + 1e-12)).all()


def test_the_reference_is_float64_whatever_comes_in() -> None:
    a = np.array([[1.0, 2.0**-30]], np.float32)
    reference, _ = oracle.matmul(a, np.ones((2, 1), np.float32), dtype=F32)
    assert reference.dtype == np.float64
    assert reference[0, 0] == 1.0 + 2.0**-30


def test_batches_are_judged_one_by_one() -> None:
    a, b = uniform(3, 4, 5), uniform(5, 2, seed=1)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    assert reference.shape == bound.shape == (3, 4, 2)
    np.testing.assert_array_equal(bound[1], oracle.matmul(a[1], b, dtype=F32)[1])
