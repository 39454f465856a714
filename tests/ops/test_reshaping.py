"""Shapes made of views and one copy: NumPy's results in any layout, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, LimitError, ShapeError, UnsupportedError
from rusty_py.dtypes import F32

from ..each import each_reported
from .arrays_of import Drawn, drawn
from .operands import on, values
from .test_joining import assert_equal


@pytest.mark.one_mode
@settings(max_examples=40)
@given(shape=drawn(), data=st.data())
def test_other_shapes_are_those_of_numpy(device: Device, shape: Drawn, data: st.DataObject) -> None:
    host, x = shape.on(device)
    axes = data.draw(st.permutations(range(host.ndim)))
    some = axes[: data.draw(st.integers(0, host.ndim))]
    places = data.draw(st.permutations(range(host.ndim)))[: len(some)]
    assert_equal(rp.transpose(x), np.transpose(host))
    assert_equal(rp.transpose(x, axes), np.transpose(host, axes))
    assert_equal(rp.moveaxis(x, some, places), np.moveaxis(host, some, places))
    assert_equal(rp.flip(x), np.flip(host))
    assert_equal(rp.flip(x, axis=tuple(some)), np.flip(host, axis=tuple(some)))
    for flat in (rp.ravel(x), rp.flatten(x), x.flatten(), x.ravel()):
        assert_equal(flat, np.ravel(host))
    assert rp.flatten(x).buffer is not x.buffer
    counts = data.draw(st.lists(st.integers(0, 3), max_size=4))
    assert_equal(rp.tile(x, counts), np.tile(host, counts))
    assert_equal(rp.tile(x, 2), np.tile(host, 2))
    assert_equal(rp.repeat(x, 3), np.repeat(host, 3))
    if host.ndim:
        axis = data.draw(st.integers(-host.ndim, host.ndim - 1))
        assert_equal(rp.repeat(x, 2, axis=axis), np.repeat(host, 2, axis=axis))
        each = data.draw(st.lists(st.integers(0, 3), min_size=host.shape[axis], max_size=host.shape[axis]))
        assert_equal(rp.repeat(x, each, axis=axis), np.repeat(host, each, axis=axis))


def test_a_repeated_or_tiled_array_is_a_new_one(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 3, 4))
    for made in (rp.tile(x, 1), rp.repeat(x, 1), rp.tile(x, (1, 1, 1)), rp.repeat(x, 1, axis=1)):
        assert made.buffer is not x.buffer


def test_grids_and_broadcast_arrays_are_views(unchecked: Device) -> None:
    a, b, c = values(F32, 3), values(F32, 4, seed=1), values(F32, 2, seed=2)
    for some in ((), (a,), (a, b), (a, b, c), (a[0], b)):
        for indexing in ("xy", "ij"):
            given = [on(unchecked, each) for each in some]
            found = rp.meshgrid(*given, indexing=indexing)
            for each, x, expected in zip(found, given, np.meshgrid(*some, indexing=indexing), strict=True):
                assert each.buffer is x.buffer
                assert_equal(each, expected)
    given = [on(unchecked, each) for each in (a[:, None], b, b[:1])]
    expected = np.broadcast_arrays(a[:, None], b, b[:1])
    for each, host in zip(rp.broadcast_arrays(*given), expected, strict=True):
        assert_equal(each, host)


def test_values_come_by_dlpack(unchecked: Device) -> None:
    a = values(F32, 3, 4)
    assert_equal(rp.from_dlpack(a.T, device=unchecked), a.T)
    x = on(unchecked, a)
    assert rp.from_dlpack(x) is x
    assert_equal(copied := rp.from_dlpack(x, copy=True), x.numpy())
    assert copied.buffer is not x.buffer
    with pytest.raises(ValueError, match=r"^asarray: values come to a device by a copy"):
        rp.from_dlpack(a, device=unchecked, copy=False)
    with pytest.raises(UnsupportedError, match=r"^from_dlpack: not an array in host memory"):
        rp.from_dlpack([1, 2])


def test_methods_are_the_functions(unchecked: Device) -> None:
    a = values(F32, 3, 1, 4)
    x = on(unchecked, a)
    assert_equal(x.squeeze(), a.squeeze())
    assert_equal(x.squeeze(1), a.squeeze(1))
    assert_equal(x.take([2, 0], axis=-1), a.take([2, 0], axis=-1))
    assert_equal(x.repeat(2, axis=0), a.repeat(2, axis=0))
    assert_equal(x.swapaxes(0, -1), a.swapaxes(0, -1))
    assert_equal(x.clip(-0.5, max=0.5), a.clip(np.float32(-0.5), np.float32(0.5)))
    assert_equal(x.round(), a.round())
    assert_equal(x.argsort(axis=0), a.argsort(axis=0).astype(np.int32))
    np.testing.assert_allclose(x.cumsum(-1).numpy(), a.cumsum(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x.cumprod(0).numpy(), a.cumprod(0), rtol=1e-5)
    for found, expected in zip(x.nonzero(), a.nonzero(), strict=True):
        assert_equal(found, expected.astype(np.int32))


def test_gradients_flow_through_views_and_copies(unchecked: Device) -> None:
    a = values(F32, 3, 4)
    cases = {
        "tile": (lambda x: rp.tile(x, (2, 3)), np.full((3, 4), 6)),
        "repeat": (lambda x: rp.repeat(x, 3, axis=1), np.full((3, 4), 3)),
        "repeat each": (lambda x: rp.repeat(x, [2, 0, 1], axis=0), np.repeat([[2], [0], [1]], 4, axis=1)),
        "flip": (rp.flip, np.ones((3, 4))),
        "moveaxis": (lambda x: rp.moveaxis(x, 0, 1), np.ones((3, 4))),
        "flatten": (rp.flatten, np.ones((3, 4))),
        "meshgrid": (lambda x: rp.meshgrid(x[0], x[1])[0], np.float32([[4] * 4, [0] * 4, [0] * 4])),
        "split": (lambda x: rp.split(x, 2, axis=1)[1], np.float32([[0, 0, 1, 1]] * 3)),
    }
    for name, (function, expected) in cases.items():
        x = on(unchecked, a)
        x.requires_grad = True
        function(x).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), expected, err_msg=name)  # type: ignore[union-attr]


def test_integers_may_be_those_of_numpy(unchecked: Device) -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, one, zero = on(unchecked, a), np.int64(1), np.int32(0)
    cases: dict[str, tuple[Callable[[], Array], np.ndarray]] = {
        "roll": (lambda: rp.roll(x, one, zero), np.roll(a, 1, 0)),
        "roll by an array": (lambda: rp.roll(x, np.array([1, 2]), (0, 1)), np.roll(a, (1, 2), (0, 1))),
        "moveaxis": (lambda: rp.moveaxis(x, zero, one), a.T),
        "expand_dims": (lambda: rp.expand_dims(x, axis=one), a[:, None]),
        "tile": (lambda: rp.tile(x, np.int64(2)), np.tile(a, 2)),
        "repeat": (lambda: rp.repeat(x, np.array(2), zero), np.repeat(a, 2, 0)),
        "permute_dims": (lambda: rp.permute_dims(x, np.array([1, 0])), a.T),
        "tensordot": (lambda: rp.tensordot(x, x, axes=(one, one)), a @ a.T),
        "vecdot": (lambda: rp.vecdot(x, x, axis=zero), (a * a).sum(0)),
        "concat": (lambda: rp.concat([x, x], axis=one), np.concatenate([a, a], 1)),
        "eye": (lambda: rp.eye(np.int64(2), device=unchecked), np.eye(2, dtype=np.float32)),
    }
    with each_reported() as case:
        for name, (function, expected) in cases.items():
            with case(name):
                assert_equal(function(), expected)


def test_what_is_no_integer_is_refused_by_the_operation(unchecked: Device) -> None:
    x = rp.ones((2, 3), device=unchecked)
    assert rp.sort(x, axis=1).shape == x.shape  # Its plan is not that of 1.0.
    cases: dict[str, Callable[[Any], object]] = {
        "sum": lambda n: x.sum(axis=n),
        "max": lambda n: rp.max(x, axis=(0, n)),
        "var": lambda n: rp.var(x, axis=n),
        "vector_norm": lambda n: rp.vector_norm(x, axis=n),
        "flip": lambda n: rp.flip(x, axis=n),
        "sort": lambda n: rp.sort(x, axis=n),
        "argsort": lambda n: rp.argsort(x, axis=n),
        "top_k": lambda n: rp.top_k(x, n),
        "cumulative_sum": lambda n: rp.cumulative_sum(x, axis=n),
        "cumsum": lambda n: rp.cumsum(x, n),
        "softmax": lambda n: rp.softmax(x, axis=n),
        "diff": lambda n: rp.diff(x, n=n),
        "concat": lambda n: rp.concat([x, x], axis=n),
        "stack": lambda n: rp.stack([x, x], axis=n),
        "split": lambda n: rp.split(x, n),
        "take": lambda n: rp.take(x, [0], axis=n),
        "roll": lambda n: rp.roll(x, n, 0),
        "tril": lambda n: rp.tril(x, k=n),
        "repeat": lambda n: rp.repeat(x, n, 0),
        "tile": lambda n: rp.tile(x, n),
        "moveaxis": lambda n: rp.moveaxis(x, n, 0),
        "expand_dims": lambda n: rp.expand_dims(x, axis=n),
        "permute_dims": lambda n: rp.permute_dims(x, n),
        "transpose": lambda n: x.transpose(n),
        "swapaxes": lambda n: x.swapaxes(n, 0),
        "reshape": lambda n: x.reshape(n, -1),
        "tensordot": lambda n: rp.tensordot(x, x, axes=n),
        "vecdot": lambda n: rp.vecdot(x, x, axis=n),
        "linspace": lambda n: rp.linspace(0, 1, n, device=unchecked),
        "one_hot": lambda n: rp.one_hot([0], n),
        "eye": lambda n: rp.eye(n, device=unchecked),
        "zeros": lambda n: rp.zeros(n, device=unchecked),
    }
    with each_reported() as case:
        for name, function in cases.items():
            for value in (1.0, "1"):
                error = ShapeError if name in ("eye", "zeros") else DtypeError
                with case(f"{name} {value!r}"), pytest.raises(error, match=f"^{name}: .* integer"):
                    function(value)


def test_what_is_no_number_is_refused_by_the_operation(unchecked: Device) -> None:
    x = rp.ones((2, 3), device=unchecked)
    cases: dict[str, Callable[[Any], object]] = {
        "var": lambda n: rp.var(x, correction=n),
        "std": lambda n: x.std(correction=n),
        "layer_norm": lambda n: rp.layer_norm(x, eps=n),
        "rms_norm": lambda n: rp.rms_norm(x, eps=n),
        "group_norm": lambda n: rp.group_norm(x, 1, eps=n),
    }
    with each_reported() as case:
        for name, function in cases.items():
            for value in ("1", [1], 1j):
                with case(f"{name} {value!r}"), pytest.raises(DtypeError, match=f"^{name}: .* is a number"):
                    function(value)
    with pytest.raises(UnsupportedError, match=r"^vector_norm: no such order: \[1\]"):
        rp.vector_norm(x, ord=[1])  # type: ignore[arg-type]


def test_what_no_shape_can_be_is_refused(unchecked: Device) -> None:
    x = rp.ones((2, 3), device=unchecked)
    for call, said in (
        (lambda: rp.moveaxis(x, (0, 1), 0), "moveaxis: names as many axes as places"),
        (lambda: rp.moveaxis(x, (0, 0), (0, 1)), "moveaxis: names as many axes as places, each once"),
        (lambda: rp.flip(x, axis=2), "flip: no such axis: 2 of 2"),
        (lambda: rp.repeat(x, -1), "repeat: repeats are not negative: -1"),
        (
            lambda: rp.repeat(x, [1, 2, 3], axis=0),
            "repeat: a number, not negative, for each of 2 elements: 3",
        ),
        (lambda: rp.tile(x, -1), "tile: repetitions are not negative"),
        (lambda: rp.permute_dims(x, ()), "transpose: names each of 2 axes once"),
        (lambda: x.transpose(()), "transpose: names each of 2 axes once"),
        (lambda: rp.tensordot(x, x, axes=([0], [0], [1])), "tensordot: the axes of each of two arrays"),
        (lambda: rp.vecdot(x, x, axis=2), "vecdot: no such axis: 2 of 2"),
        (lambda: rp.full(3, [1, 2]), "full: fills with one number: got 2"),
        (lambda: rp.eye(-3), "eye: sizes are not negative"),
        (lambda: rp.meshgrid(x), "meshgrid: arrays of one axis"),
        (lambda: rp.meshgrid(x[0], indexing="yx"), "meshgrid: indexing is"),
    ):
        with pytest.raises(ShapeError, match=f"^{said}"):
            call()
    for call in (
        lambda: rp.tile(x, 10**12),
        lambda: rp.repeat(x, 10**12),
        lambda: rp.repeat(x, [10**12] * 6),
    ):
        with pytest.raises(LimitError, match=r"^(tile|repeat): the result is larger than .* allows"):
            call()
    with pytest.raises(UnsupportedError, match=r"^repeat: repeats must be known on the host"):
        rp.repeat(x, rp.ones(2, dtype="i32", device=unchecked))
