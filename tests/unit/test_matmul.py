"""What `matmul` decides before it needs a device."""

import numpy as np
import pytest

from rusty_py import DtypeError, LimitError, ShapeError, UnsupportedError, matmul

ONES = np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    ("a", "b"), [((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((0,), (0,))]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_product_without_terms_needs_no_device(
    a: tuple[int, ...], b: tuple[int, ...], dtype: type[np.generic]
) -> None:
    product = matmul(np.ones(a, dtype), np.ones(b, dtype))
    expected = np.matmul(np.ones(a, dtype), np.ones(b, dtype))
    assert (product.shape, product.dtype, type(product)) == (expected.shape, expected.dtype, type(expected))
    np.testing.assert_array_equal(product, expected)


def test_a_product_without_terms_is_written_to_out() -> None:
    out = np.full((2, 4), 7, np.float32)
    assert matmul(np.ones((2, 0), np.float32), np.ones((0, 4), np.float32), out=out) is out
    assert not out.any()


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


@pytest.mark.parametrize(
    "dtype", [np.float64, np.longdouble, np.int32, np.int64, np.bool_, np.complex64, np.complex128]
)
@pytest.mark.parametrize("side", ["a", "b"])
def test_what_float32_may_not_hold_is_refused_on_either_side(dtype: type[np.generic], side: str) -> None:
    other = np.ones((3, 3), dtype)
    with pytest.raises(DtypeError, match=r"pass dtype='f32' to compute in float32$"):
        matmul(*((other, ONES) if side == "a" else (ONES, other)))


def test_integers_in_lists_are_refused_as_those_in_arrays() -> None:
    with pytest.raises(DtypeError, match=r"^matmul: computes in float32, got int32"):
        matmul([[1]], [[2]])


def test_complex_numbers_are_refused_with_a_dtype_too() -> None:
    with pytest.raises(DtypeError, match=r"^matmul: cannot turn complex128 into f32$"):
        matmul(ONES.astype(complex), ONES, dtype="f32")


@pytest.mark.parametrize("name", ["f64", "i32", "half"])
def test_an_unknown_dtype_is_refused(name: str) -> None:
    with pytest.raises(DtypeError, match=f"^matmul: unknown dtype: '{name}'; choose one of f32, f16$"):
        matmul(ONES, ONES, dtype=name)


@pytest.mark.parametrize("tile", [0, 4, 12, 64, -8, "8", "tiled", ""])
def test_a_tile_without_a_kernel_is_refused_with_the_choice(tile: int | str) -> None:
    said = r"^matmul: no such tile: .*; choose 8, 16, 32, 'naive' or 'auto'$"
    with pytest.raises(LimitError, match=said):
        matmul(ONES, ONES, tile=tile)
    with pytest.raises(LimitError, match=said):
        matmul.plan(ONES, ONES, tile=tile)


@pytest.mark.parametrize("activation", ["", "RELU", "softmax", "x"])
def test_an_unknown_activation_is_refused_with_the_choice(activation: str) -> None:
    said = (
        rf"^matmul: no such activation: '{activation}';"
        " choose one of none, relu, leaky_relu, tanh, sigmoid, silu, gelu, gelu_tanh, softplus, elu,"
        " hardswish$"
    )
    with pytest.raises(LimitError, match=said):
        matmul(ONES, ONES, activation=activation)
    with pytest.raises(LimitError, match=said):
        matmul.plan(ONES, ONES, activation=activation)


@pytest.mark.parametrize("accumulate_dtype", ["", "f64", "i32"])
def test_an_unknown_accumulator_dtype_is_refused_with_the_choice(accumulate_dtype: str) -> None:
    said = f"^matmul: accumulate_dtype is f32 or f16: got '{accumulate_dtype}'$"
    with pytest.raises(DtypeError, match=said):
        matmul(ONES, ONES, accumulate_dtype=accumulate_dtype)
    with pytest.raises(DtypeError, match=said):
        matmul.plan(ONES, ONES, accumulate_dtype=accumulate_dtype)


def test_accumulating_takes_something_to_add_to() -> None:
    with pytest.raises(ShapeError, match=r"^matmul: accumulate adds to what `out` holds: pass out=$"):
        matmul(ONES, ONES, accumulate=True)


@pytest.mark.parametrize("shape", [(3, 4), (3,), (1, 3, 3), (9,), ()])
def test_an_out_of_another_shape_is_refused_with_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"^matmul: out has another shape than the result: .*, \(3, 3\)$"):
        matmul(ONES, ONES, out=np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32])
def test_an_out_of_another_dtype_is_refused_with_both(dtype: type[np.generic]) -> None:
    with pytest.raises(DtypeError, match=r"^matmul: out has another dtype than the result: .*, float32$"):
        matmul(ONES, ONES, out=np.zeros((3, 3), dtype))


@pytest.mark.parametrize("out", [[[0.0] * 3] * 3, 7, "out"])
def test_an_out_that_is_no_array_is_refused(out: object) -> None:
    with pytest.raises(DtypeError, match=r"^matmul: out is a NumPy array where the result is: got "):
        matmul(ONES, ONES, out=out)


def test_an_out_that_cannot_be_written_is_refused() -> None:
    out = np.zeros((3, 3), np.float32)
    out.flags.writeable = False
    with pytest.raises(UnsupportedError, match=r"^matmul: out cannot be written"):
        matmul(ONES, ONES, out=out)
    with pytest.raises(ShapeError, match=r"^matmul: out repeats elements: strides \(0, 4\)"):
        matmul(ONES, ONES, out=np.lib.stride_tricks.as_strided(np.zeros(3, np.float32), (3, 3), (0, 4)))


@pytest.mark.parametrize("shape", [(), (2,), (4,), (1, 3), (3, 3), (1,)])
@pytest.mark.parametrize("rows", [0, 3])
def test_a_bias_is_a_row_of_the_result(shape: tuple[int, ...], rows: int) -> None:
    said = r"^matmul: a bias has a number for each column, \(3,\): got "
    with pytest.raises(ShapeError, match=said):
        matmul(ONES[:rows], ONES, bias=np.zeros(shape, np.float32))
    with pytest.raises(ShapeError, match=said):
        matmul.plan(ONES, ONES, bias=np.zeros(shape, np.float32))


def test_a_bias_of_another_kind_is_refused() -> None:
    said = "^matmul: cannot turn complex64 into f32$"
    with pytest.raises(DtypeError, match=said):
        matmul(ONES, ONES, bias=np.zeros(3, np.complex64))
    with pytest.raises(DtypeError, match=said):
        matmul.plan(ONES, ONES, bias=np.zeros(3, np.complex64))


def test_float32_does_not_accumulate_in_float16() -> None:
    said = r'^matmul: accumulate_dtype="f16" needs float16 operands: got float32$'
    with pytest.raises(DtypeError, match=said):
        matmul(ONES, ONES, accumulate_dtype="f16")
    with pytest.raises(DtypeError, match=said):
        matmul(ONES[:0], ONES, accumulate_dtype="f16")
    with pytest.raises(DtypeError, match=said):
        matmul.plan(ONES, ONES, accumulate_dtype="f16")


def test_everything_but_the_arrays_goes_by_keyword() -> None:
    with pytest.raises(TypeError, match="positional"):
        matmul(ONES, ONES, "f32")
