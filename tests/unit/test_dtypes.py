import re

import numpy as np
import pytest

from rusty_py import DtypeError, ShapeError
from rusty_py.dtypes import (
    BOOL,
    DTYPES,
    ELEMENTS,
    F16,
    F32,
    I32,
    U32,
    Dtype,
    cast,
    element,
    host_values,
    parse,
    promoted,
    scalar_word,
)


def test_f32_is_what_numpy_says_of_float32() -> None:
    kwargs = np.finfo(np.float32)
    assert (F32.itemsize, F32.eps, F32.numpy) == (
        np.dtype(np.float32).itemsize,
        float(kwargs.eps),
        kwargs.dtype,
    )


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_a_dtype_is_found_by_its_name(name: str) -> None:
    assert parse(name, operation="matmul").name == name


@pytest.mark.parametrize("name", ["f64", "float32", "", "F32"])
def test_an_unknown_dtype_is_refused_with_the_choice(name: str) -> None:
    with pytest.raises(DtypeError, match=rf"^matmul: unknown dtype: '{name}'; choose one of f32, f16$"):
        parse(name, operation="matmul")


@pytest.mark.parametrize("target", [F32, F16], ids=lambda each: each.name)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.float32, np.int64, np.uint8, np.bool_])
def test_what_keeps_its_kind_is_cast(dtype: type[np.generic], target: Dtype) -> None:
    x = cast(np.array([0, 1, 1], dtype), target, operation="matmul")
    assert x.tolist() == [0.0, 1.0, 1.0]
    assert x.dtype == target.numpy


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, "U3", "S3", object, "M8[s]"])
def test_what_does_not_cast_to_float32_is_refused(dtype: str | type) -> None:
    x = np.zeros(3, dtype)
    with pytest.raises(DtypeError, match=f"^matmul: cannot turn {re.escape(str(x.dtype))} into f32$"):
        cast(x, F32, operation="matmul")


def test_what_has_the_dtype_is_not_copied() -> None:
    x = np.ones((3, 4), np.float32)
    assert np.shares_memory(cast(x, F32, operation="matmul"), x)
    assert np.shares_memory(cast(x.T, F32, operation="matmul"), x)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(12, dtype=np.float64).reshape(3, 4).T,
        np.arange(12, dtype=np.float32).reshape(3, 4).astype(">f4").T,
    ],
    ids=["float64", "big-endian"],
)
def test_columns_stay_columns_in_native_order(x: np.ndarray) -> None:
    columns = cast(x, F32, operation="matmul")
    assert columns.flags.f_contiguous
    assert columns.dtype == F32.numpy
    assert columns.dtype.isnative
    np.testing.assert_array_equal(columns, x)


RULE = [
    (1, I32),
    (1.5, F32),
    (True, BOOL),
    (np.float64(1.5), F32),
    ([1, 2], I32),
    ([[1, 2], [3, 4.5]], F32),
    ([True, 2], I32),
    ([], F32),
    (range(3), I32),
    ((1, 2), I32),
    *[(np.zeros(3, each.numpy), each) for each in ELEMENTS.values()],
    (np.float32(1), F32),
    (np.bool_(True), BOOL),
    ([np.float32(1), np.float32(2)], F32),
    (np.zeros(3, ">f4"), F32),
]


@pytest.mark.parametrize(("values", "kind"), RULE, ids=lambda case: getattr(case, "name", repr(case)))
def test_values_get_their_dtype_by_the_rule(values: object, kind: Dtype) -> None:
    host, found = host_values(values, None, operation="array")
    assert found is kind
    assert host.dtype == kind.numpy
    assert host.flags.c_contiguous
    np.testing.assert_array_equal(host, np.asarray(values))


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (np.zeros(3), 'dtype="f32"'),
        (np.zeros(3, int), 'dtype="i32"'),
        (np.zeros(3, np.uint8), 'dtype="u32"'),
        (np.int64(3), 'dtype="i32"'),
        ([np.int64(3)], 'dtype="i32"'),
        ([np.zeros(2), np.ones(2)], 'dtype="f32"'),
        (np.zeros(3, complex), "choose f32, f16, i32, u32, bool"),
        (["a"], "choose f32"),
        ([2**70], "more than 64 bits"),
        (None, "choose f32"),
        (np.ma.masked_array([1.0], [True]), "filled"),
    ],
    ids=repr,
)
def test_what_needs_a_dtype_is_told_which(values: object, remedy: str) -> None:
    with pytest.raises(DtypeError, match=r"^array: ") as caught:
        host_values(values, None, operation="array")
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [
        (
            [2**31],
            None,
            r"^array: integers do not fit i32: 2147483648 to 2147483648, it holds -2147483648 to",
        ),
        ([2**63], None, r"^array: integers do not fit i32: "),
        (np.array([-1]), "u32", r"^array: integers do not fit u32: -1 to -1, it holds 0 to 4294967295$"),
        (np.array([-1], np.int32), "u32", r"^array: integers do not fit u32"),
        ([1.5], "i32", r"^array: i32 does not hold the values of float64: use .*f32"),
        ([1], "bool", r"^array: bool does not hold the values of int64: use .*i32"),
        ([1e39], None, r"^array: numbers do not fit f32: up to 1e\+39, it holds 3\.40282e\+38$"),
        ([1e5, np.inf], "f16", r"^array: numbers do not fit f16: up to 100000, it holds 65504$"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(values: object, dtype: str | None, said: str) -> None:
    with pytest.raises(DtypeError, match=said):
        host_values(values, dtype, operation="array")


def test_a_dtype_takes_what_it_can_hold() -> None:
    for values in (np.array([0, 2**32 - 1]), [0, 2**32 - 1], np.array([0, 2**32 - 1], np.uint64)):
        assert host_values(values, "u32", operation="array")[0].tolist() == [0, 2**32 - 1]
    assert host_values([True, False], "f32", operation="array")[0].tolist() == [1.0, 0.0]
    assert host_values([np.inf, -np.inf], "f16", operation="array")[0].tolist() == [np.inf, -np.inf]


def test_lists_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"^array: not the values of an array: "):
        host_values([[1], [1, 2]], None, operation="array")


@pytest.mark.parametrize("kind", ELEMENTS.values(), ids=lambda kind: kind.name)
def test_a_dtype_is_named_as_ours_or_as_numpys(kind: Dtype) -> None:
    for name in (kind, kind.name, kind.numpy, kind.numpy.type, kind.numpy.name):
        assert element(name, operation="array") is kind


@pytest.mark.parametrize("name", ["f64", "f8", float, np.int64, None, "", ..., "complex64"], ids=repr)
def test_a_dtype_that_no_array_holds_is_refused(name: object) -> None:
    with pytest.raises(DtypeError, match=r"^array: "):
        element(name, operation="array")


def test_floats_of_16_and_32_bits_make_32() -> None:
    for a in ELEMENTS.values():
        assert promoted(a, a, operation="add") is a
    assert promoted(F16, F32, operation="add") is promoted(F32, F16, operation="add") is F32


def test_the_advice_for_two_dtypes_is_to_widen_one() -> None:
    advice = {
        (F32, I32): 'the i32 operand with .astype("f32")',
        (F16, U32): 'the u32 operand with .astype("f32")',  # f16 holds integers up to 2,048.
        (BOOL, I32): 'the bool operand with .astype("i32")',
        (BOOL, F16): 'the bool operand with .astype("f16")',
        (I32, U32): 'the one whose values fit, with .astype("i32") or .astype("u32")',
    }
    for (a, b), convert in advice.items():
        said = re.escape(f"add: dtypes do not mix: {a.name} and {b.name}: convert {convert}")
        with pytest.raises(DtypeError, match=f"^{said}$"):
            promoted(a, b, operation="add")
        if {a, b} != {I32, U32}:
            with pytest.raises(DtypeError, match=re.escape(convert)):
                promoted(b, a, operation="add")


@pytest.mark.parametrize("value", [0, 1, -1, 0.1, 1e-45, 3e38, np.inf, -0.0, True, 2**24 + 1])
def test_a_number_travels_as_the_bits_of_its_float(value: float) -> None:
    word = np.array(scalar_word(value, F32, operation="add"), np.uint32)
    assert word.view(np.float32).tobytes() == np.float32(value).tobytes()


def test_a_number_beside_f16_is_rounded_once() -> None:
    value = 1 + 2**-11 + 2**-40  # Rounded to f32 first, this would be a tie, and go down.
    word = np.array(scalar_word(value, F16, operation="add"), np.uint32)
    assert word.view(np.float32) == np.float16(value) == 1 + 2**-10


def test_integers_travel_as_their_bits() -> None:
    assert scalar_word(-1, I32, operation="add") == 2**32 - 1
    assert scalar_word(2**32 - 1, U32, operation="add") == 2**32 - 1
    assert scalar_word(True, BOOL, operation="equal") == 1
    with pytest.raises(DtypeError, match=r"^add: the number does not fit f32: 10+$"):
        scalar_word(10**400, F32, operation="add")
