import re

import numpy as np
import pytest

from rusty_py import DtypeError
from rusty_py.dtypes import DTYPES, F32, cast, parse


def test_f32_is_what_numpy_says_of_float32() -> None:
    about = np.finfo(np.float32)
    assert (F32.itemsize, F32.eps, F32.numpy) == (
        np.dtype(np.float32).itemsize,
        float(about.eps),
        about.dtype,
    )


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_a_dtype_is_found_by_its_name(name: str) -> None:
    assert parse(name, operation="matmul").name == name


@pytest.mark.parametrize("name", ["f64", "float32", "", "F32"])
def test_an_unknown_dtype_is_refused_with_the_choice(name: str) -> None:
    with pytest.raises(DtypeError, match=rf"^matmul: unknown dtype: '{name}'; choose one of f32$"):
        parse(name, operation="matmul")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, np.bool_, np.complex64])
def test_without_a_dtype_only_float32_is_taken(dtype: type[np.generic]) -> None:
    with pytest.raises(DtypeError) as caught:
        cast(np.ones(3, dtype), None, operation="matmul")
    message = str(caught.value)
    assert message.startswith(f"matmul: computes in float32, got {np.dtype(dtype)}")
    assert message.endswith("pass dtype='f32' to compute in float32")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, np.bool_])
def test_with_a_dtype_what_casts_is_taken(dtype: type[np.generic]) -> None:
    x = np.array([0, 1, 1], dtype)
    assert cast(x, "f32", operation="matmul").tolist() == [0.0, 1.0, 1.0]
    assert cast(x, "f32", operation="matmul").dtype == np.float32


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, "U3", "S3", object, "M8[s]"])
def test_what_does_not_cast_to_float32_is_refused_even_with_a_dtype(dtype: str | type) -> None:
    x = np.zeros(3, dtype)
    with pytest.raises(DtypeError, match=f"^matmul: cannot turn {re.escape(str(x.dtype))} into f32$"):
        cast(x, "f32", operation="matmul")


def test_float32_in_rows_is_not_copied() -> None:
    x = np.ones((3, 4), np.float32)
    assert np.shares_memory(cast(x, None, operation="matmul"), x)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.arange(24, dtype=np.float32).reshape(3, 8)[:, ::-2],
        np.arange(12, dtype=np.float32).reshape(3, 4).astype(">f4"),
    ],
    ids=["transposed", "fortran", "negative strides", "big-endian"],
)
def test_any_layout_of_float32_becomes_rows_in_native_order(x: np.ndarray) -> None:
    rows = cast(x, None, operation="matmul")
    assert rows.flags.c_contiguous
    assert rows.dtype == F32.numpy
    assert rows.dtype.isnative
    np.testing.assert_array_equal(rows, x)
