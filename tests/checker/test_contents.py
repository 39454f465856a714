"""What buffers may be given as: arrays, lists of numbers, and descriptions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import DtypeError, LimitError, ShapeError
from rusty_py.checker import contents
from rusty_py.checker.contents import MAX_BYTES, array, parse, scalar_of

from .kernels import is_answered


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("f32[1000]", np.float32, (1000,)),
        ("f16[8]", np.float16, (8,)),
        ("u32[4,3]", np.uint32, (4, 3)),
        (" i32 [ 4 , 3 ] ", np.int32, (4, 3)),
        ("f32[0]", np.float32, (0,)),
    ],
)
def test_a_shape_describes_random_values(text: str, dtype: type, shape: tuple[int, ...]) -> None:
    found = parse(text, name="a")
    assert (found.dtype, found.shape) == (dtype, shape)


def test_random_values_are_the_same_for_the_same_name_and_others_for_another() -> None:
    assert np.array_equal(parse("f32[99]", name="a"), parse("f32[99]", name="a"))
    assert not np.array_equal(parse("f32[99]", name="a"), parse("f32[99]", name="b"))


def test_random_integers_use_all_their_bits() -> None:
    assert np.bitwise_or.reduce(parse("u32[999]", name="a")) == 0xFFFFFFFF
    assert parse("i32[999]", name="a").min() < 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u32:8,0,1", np.array([8, 0, 1], np.uint32)),
        ("i32:-8, 0x10", np.array([-8, 16], np.int32)),
        ("f32:1.5,-inf,1e60", np.array([1.5, -np.inf, np.inf], np.float32)),
        ("f16: 0.5 ", np.array([0.5], np.float16)),
    ],
)
def test_numbers_describe_themselves(text: str, expected: np.ndarray) -> None:
    found = parse(text, name="a")
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "text",
    ["", "f32", "f64[3]", "f32[]", "f32[-1]", "f32[3", "[3]", "u32:", ":", "f32[3]:1", "f32[1 0]", "bool:1"],
)
def test_a_description_that_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(DtypeError, match=r"^check: buffer a: not understood: .*f32\[1000\] or u32:8,0,1"):
        parse(text, name="a")


@pytest.mark.parametrize("text", ["u32:-1", "u32:4294967296", "i32:x", "i32:1.5", "f32:1,,2", "u32:8 0 1"])
def test_numbers_that_the_type_lacks_are_refused(text: str) -> None:
    with pytest.raises(DtypeError, match=r"^check: buffer a: no values of (u?int|float)32: "):
        parse(text, name="a")


@pytest.mark.parametrize("text", [f"f32[{MAX_BYTES // 4 + 1}]", "f16[999999999,999999999]"])
def test_a_description_of_too_many_bytes_is_refused_before_they_are_made(text: str) -> None:
    with pytest.raises(LimitError, match=f"buffer a: too large: .*{MAX_BYTES} bytes"):
        parse(text, name="a")


SHAPES = st.integers(0, 4000).map(lambda digits: f"f32[{10**digits}]")


@given(st.text("f32i16u[],:x-. 0\u0663", max_size=40) | SHAPES)
def test_any_description_is_understood_or_refused_by_our_errors(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "MAX_BYTES", 1 << 16)
        assert is_answered(lambda: parse(text, name="a"))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("array<f32>", np.float32),
        ("array<vec4<f16>, 16>", np.float16),
        ("array<atomic<u32>>", np.uint32),
        ("mat4x4<f32>", np.float32),
        ("i32", np.int32),
    ],
)
def test_the_scalar_of_a_type_is_found(kind: str, dtype: type) -> None:
    assert scalar_of(kind) == dtype


@pytest.mark.parametrize("kind", ["Uniforms", "array<Uniforms>", "array<f32_pair, 3>"])
def test_a_structure_has_no_one_scalar(kind: str) -> None:
    assert scalar_of(kind) is None


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.uint8])
def test_an_array_has_the_dtype_of_the_variable_or_is_words_of_its_bytes(dtype: type) -> None:
    given = np.ones(4, dtype)
    assert array(given, name="a", kind="array<f32>").dtype == dtype


@pytest.mark.parametrize(
    "dtype", [np.float64, np.int64, np.int32, np.float16, np.bool_, np.complex64, "U1", object]
)
def test_an_array_of_another_dtype_is_refused_with_the_one_to_give(dtype: type) -> None:
    with pytest.raises(DtypeError, match=r"^check: buffer a: not .*: .* for array<f32>: give float32$"):
        array(np.ones(4).astype(dtype), name="a", kind="array<f32>")


def test_a_structure_takes_no_dtype_that_wgsl_lacks() -> None:
    with pytest.raises(DtypeError, match="float64 for Uniforms: give float32 or float16 or int32 or uint32"):
        array(np.ones(4), name="a", kind="Uniforms")


def test_a_structured_array_is_taken_as_it_is() -> None:
    pairs = np.array([(1, 2.0), (3, 4.0)], [("n", np.uint32), ("x", np.float32)])
    assert array(pairs, name="a", kind="array<Pair>").tobytes() == pairs.tobytes()


def test_a_structure_of_objects_is_refused() -> None:
    with pytest.raises(DtypeError, match="buffer a: not of the variable's type"):
        array(np.array([(1,)], [("x", object)]), name="a", kind="array<Pair>")


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], "array<f32>", np.array([1, 2], np.float32)),
        ([1.5], "array<f16>", np.array([1.5], np.float16)),
        ((1, 2, 3, 4), "vec4<u32>", np.array([1, 2, 3, 4], np.uint32)),
        ([[1.0, 2.0]], "array<i32>", np.array([[1, 2]], np.int32)),
        (3, "u32", np.array(3, np.uint32)),
    ],
)
def test_numbers_without_a_dtype_are_converted(values: object, kind: str, expected: np.ndarray) -> None:
    found = array(values, name="a", kind=kind)  # type: ignore[arg-type]
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("values", [[1.5], [-1], [1 << 32], [float("nan")]])
def test_numbers_that_conversion_would_change_are_refused(values: list[float]) -> None:
    with pytest.raises(DtypeError, match=r"^check: buffer a: numbers that are no uint32: array<u32>$"):
        array(values, name="a", kind="array<u32>")


@pytest.mark.parametrize("values", [[[1], [2, 3]], [1, [2]]])
def test_lists_that_are_no_array_are_refused(values: list[object]) -> None:
    with pytest.raises(ShapeError, match=r"^check: buffer a: no array: "):
        array(values, name="a", kind="array<f32>")  # type: ignore[arg-type]


def test_a_view_is_taken_row_by_row() -> None:
    square = np.arange(9, dtype=np.float32).reshape(3, 3)
    for view in (square.T, square[::-1, ::2], np.broadcast_to(square[0], (5, 3))):
        assert array(view, name="a", kind="array<f32>").tobytes() == view.tobytes()


def test_the_other_byte_order_is_turned() -> None:
    found = array(np.array([1.5], ">f4"), name="a", kind="array<f32>")
    assert found.tobytes() == np.array([1.5], np.float32).tobytes()


def test_an_array_without_axes_keeps_that_shape() -> None:
    assert array(np.array(1, np.uint32), name="a", kind="u32").shape == ()


def test_an_array_of_too_many_bytes_is_refused() -> None:
    large = np.broadcast_to(np.float32(0), (MAX_BYTES // 4 + 1,))
    with pytest.raises(LimitError, match=f"too large: {MAX_BYTES + 4} > {MAX_BYTES} bytes"):
        array(large, name="a", kind="array<f32>")
