"""`one_hot`, `embedding` and rotary embeddings."""

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, DtypeError, ShapeError
from rusty_py.dtypes import F32

from .operands import on, values
from .test_joining import assert_equal


def test_one_hot_rows_have_a_one_at_the_class(device: Device) -> None:
    index = on(device, np.array([[2, 0], [-1, 3]], np.int32))
    expected = np.float32([[[0, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
    assert_equal(rp.one_hot(index, 3), expected)
    assert_equal(rp.one_hot(index, 3, dtype="bool"), expected.astype(bool))
    assert rp.one_hot(index, 0).shape == (2, 2, 0)
    assert_equal(rp.one_hot([1, 0], 2, dtype="i32"), np.int32([[0, 1], [1, 0]]))
    with pytest.raises(ShapeError, match=r"^one_hot: the number of classes is not negative: -1"):
        rp.one_hot(index, -1)
    with pytest.raises(DtypeError, match=r"^one_hot: indices are i32 or u32: f32"):
        rp.one_hot(index.astype("f32"), 3)


def test_an_embedding_is_rows_and_its_gradient_their_sums(unchecked: Device) -> None:
    table, index = values(F32, 7, 5), np.array([[3, 3, 0], [6, 3, 3]], np.int32)
    weight = on(unchecked, table)
    weight.requires_grad = True
    rows = rp.embedding(on(unchecked, index), weight)
    assert_equal(rows, table[index])
    g = values(F32, 2, 3, 5, seed=1)
    rows.backward(on(unchecked, g))
    expected = np.zeros((7, 5))
    np.add.at(expected, index, g.astype(np.float64))
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ShapeError, match=r"^embedding: weight has 2 axes"):
        rp.embedding(index, table[0])


def test_rotations_keep_the_norm_and_the_difference_of_positions(unchecked: Device) -> None:
    q, k = on(unchecked, values(F32, 2, 9, 64)), on(unchecked, values(F32, 2, 9, 64, seed=1))
    for interleaved in (False, True):
        tables = [rp.rotary_tables(rp.arange(start, start + 9, device=unchecked), 64) for start in (0, 100)]
        here, there = (
            (
                rp.rotary_embedding(q, *table, interleaved=interleaved),
                rp.rotary_embedding(k, *table, interleaved=interleaved),
            )
            for table in tables
        )
        exact = [[each.numpy().astype(np.float64) for each in pair] for pair in (here, there)]
        scores = [left @ right.swapaxes(1, 2) for left, right in exact]
        np.testing.assert_allclose(*scores, atol=1e-3)  # Angles at 108 are off by 4e-6.
        np.testing.assert_allclose(
            np.linalg.norm(here[0].numpy(), axis=-1), np.linalg.norm(q.numpy(), axis=-1), rtol=1e-6
        )


def test_rotary_tables_are_those_of_the_formula(unchecked: Device) -> None:
    positions = np.arange(50, dtype=np.int32).reshape(5, 10)
    cos, sin = rp.rotary_tables(on(unchecked, positions), 16, base=500.0)
    angles = positions[..., None] * 500.0 ** (-np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(cos.numpy(), np.cos(angles), atol=50 * 1.3e-7)
    np.testing.assert_allclose(sin.numpy(), np.sin(angles), atol=50 * 1.3e-7)
    assert (cos.shape, cos.dtype) == ((5, 10, 8), np.float32)


def test_rotations_take_any_layout(device: Device) -> None:
    a = values(F32, 12, 20)
    x, (cos, sin) = on(device, a), rp.rotary_tables(rp.arange(6, device=device), 8)
    c, s = cos.numpy(), sin.numpy()
    for view in (lambda x: x[::2, 3:19:2], lambda x: x[:8, ::3][:, ::-1][:, :6].T, lambda x: x[5:-1, 12:]):
        seen = view(a)
        left, right = seen[..., :4], seen[..., 4:]
        expected = np.concatenate([left * c - right * s, right * c + left * s], axis=-1)
        np.testing.assert_allclose(rp.rotary_embedding(view(x), cos, sin).numpy(), expected, atol=1e-6)


def test_what_cannot_be_rotated_is_refused(unchecked: Device) -> None:
    x = rp.ones((4, 6), device=unchecked)
    cos, sin = rp.rotary_tables(rp.arange(4, device=unchecked), 6)
    with pytest.raises(ShapeError, match=r"^rotary_embedding: the last axis has an even size"):
        rp.rotary_embedding(x[:, :5], cos, sin)
    with pytest.raises(ShapeError, match=r"^rotary_embedding: "):
        rp.rotary_embedding(x[:2], cos, sin)
    with pytest.raises(DtypeError, match=r"^rotary_embedding: not for i32"):
        rp.rotary_embedding(x.astype("i32"), cos, sin)
    with pytest.raises(ShapeError, match=r"^rotary_tables: dim is even: 5"):
        rp.rotary_tables([0, 1], 5)
