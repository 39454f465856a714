"""The engine of gradients: recording, the backward pass, what it keeps and frees, and what it refuses."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DeviceError, DtypeError, GradientError, ShapeError, UnsupportedError
from rusty_py.operation import OPERATIONS, Gradient

from ..each import each_reported
from .operands import on

pytestmark = [pytest.mark.usefixtures("short_kernels"), pytest.mark.one_mode]


def leaf(device: Device, values: object) -> Array:
    x = on(device, np.asarray(values, np.float32))
    x.requires_grad = True
    return x


def gradient(x: Array) -> np.ndarray:
    assert x.grad is not None
    return x.grad.numpy()


def test_gradients_accumulate_until_they_are_set_to_none(unchecked: Device) -> None:
    x = leaf(unchecked, [1, 2, 3])
    for factor in (1, 2):
        (x * x).sum().backward()
        np.testing.assert_array_equal(gradient(x), [2 * factor, 4 * factor, 6 * factor])
    x.grad = None
    assert x.grad is None
    (x * 3).sum().backward()
    np.testing.assert_array_equal(gradient(x), [3, 3, 3])


def test_a_value_that_is_used_twice_gets_both_gradients(unchecked: Device) -> None:
    a = leaf(unchecked, [3.0])
    b = a + a
    c = b + b
    (c * b).sum().backward()  # 8 a^2
    np.testing.assert_array_equal(gradient(a), [48])


def test_gradients_of_broadcast_operands_are_summed(unchecked: Device) -> None:
    x, row, number = leaf(unchecked, np.ones((3, 4))), leaf(unchecked, [1, 2, 3, 4]), leaf(unchecked, 2)
    ((x * row) * number).sum().backward()
    np.testing.assert_array_equal(gradient(x), np.broadcast_to([2, 4, 6, 8], (3, 4)))
    np.testing.assert_array_equal(gradient(row), [6, 6, 6, 6])
    assert gradient(number).shape == ()
    assert gradient(number) == 30


def test_gradients_flow_through_every_view(unchecked: Device) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    views: dict[str, Callable[[Array], Array]] = {
        "T": lambda x: x.T,
        "mT": lambda x: x.mT,
        "transpose": lambda x: x.transpose(1, 2, 0),
        "reshape": lambda x: x.reshape(4, -1),
        "reshape that copies": lambda x: x.T.reshape(4, 6),
        "index": lambda x: x[1],
        "slices": lambda x: x[:, ::-2, 1:3],
        "numpy's integers": lambda x: x[np.int64(1), :: np.int32(2)],
        "new axis": lambda x: x[..., None, 2],
        "broadcast": lambda x: rp.broadcast_to(x[:, :1], (5, 2, 3, 4)),
        "expand and squeeze": lambda x: rp.squeeze(rp.expand_dims(x, axis=(0, 2)), axis=0),
    }
    with each_reported() as case:
        for name, view in views.items():
            with case(name):
                x = leaf(unchecked, values)
                seen = view(x)
                weights = on(unchecked, np.random.default_rng(1).random(seen.shape, np.float32))
                (seen * weights).sum().backward()
                # The view of the places says which element each weight belongs to.
                places = view(on(unchecked, np.arange(24, dtype=np.int32).reshape(2, 3, 4))).numpy()
                expected = np.bincount(places.ravel(), weights.numpy().ravel().astype(np.float64), 24)
                np.testing.assert_allclose(gradient(x).ravel(), expected, rtol=1e-6)


def test_a_chain_of_ten_thousand_nodes_needs_no_recursion(unchecked: Device) -> None:
    x = leaf(unchecked, [1.0])
    y = x
    with unchecked.batch():
        for _ in range(10_000):
            y = y + x
    y.sum().backward()
    np.testing.assert_array_equal(gradient(x), [10_001])


def test_what_backward_consumed_returns_to_the_pool_by_reference_counts(unchecked: Device) -> None:
    gc.disable()
    try:
        x, w = leaf(unchecked, np.ones((8, 8))), leaf(unchecked, np.ones((8, 8)))
        hidden = (x @ w) / w
        kept = weakref.ref(hidden.buffer)
        loss = (hidden * hidden).sum()
        del hidden
        assert kept() is not None
        loss.backward()
        assert kept() is None
        result = weakref.ref(loss.buffer)
        del loss
        assert result() is None
    finally:
        gc.enable()


def test_a_graph_that_is_dropped_is_freed_without_a_backward_pass(unchecked: Device) -> None:
    gc.disable()
    try:
        x = leaf(unchecked, np.ones(8))
        y = 2 / (x * 2)  # Its node keeps its result, and the result its node.
        kept = weakref.ref(y.buffer)
        del y
        assert kept() is None
    finally:
        gc.enable()


def test_addition_does_not_keep_its_operands(unchecked: Device) -> None:
    x = leaf(unchecked, np.ones(8))
    doubled = x * 2
    kept = weakref.ref(doubled.buffer)
    y = doubled + 1
    del doubled
    assert kept() is None
    y.sum().backward()
    np.testing.assert_array_equal(gradient(x), np.full(8, 2))


def test_a_second_backward_pass_needs_the_graph_retained(unchecked: Device) -> None:
    x = leaf(unchecked, [2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(gradient(x), [8])
    with pytest.raises(UnsupportedError, match=r"^backward: the graph through \w+ was freed .*retain_graph"):
        y.backward()


def test_a_write_in_place_between_forward_and_backward_is_an_error(unchecked: Device) -> None:
    def assign(x: Array) -> None:
        x.assign(3.0)

    def assign_to_a_view(x: Array) -> None:
        x.reshape(2, 2)[0].assign(3.0)

    def write(x: Array) -> None:
        unchecked.write(x.buffer, np.zeros(4, np.float32))

    def product(x: Array) -> None:
        eye = rp.eye(2, device=unchecked)
        rp.matmul(eye, eye, out=x.reshape(2, 2))

    double = rp.Kernel(DOUBLE, device=unchecked)

    def kernel(x: Array) -> None:
        double(x=x, workgroups=1)

    with each_reported() as case:
        for change in (assign, assign_to_a_view, write, product, kernel):
            with case(change.__name__):
                x = leaf(unchecked, [1, 2, 3, 4])
                y = (x * x).sum()
                with rp.no_grad():
                    change(x)
                with pytest.raises(UnsupportedError, match=r"^backward: an array that multiply read was ch"):
                    y.backward()
                x.grad = None
                (x * x).sum().backward()
                np.testing.assert_array_equal(gradient(x), 2 * x.numpy())


DOUBLE = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] *= 2.0; }
"""


def test_a_replay_that_writes_between_forward_and_backward_is_an_error(unchecked: Device) -> None:
    x = on(unchecked, np.ones(4, np.float32))
    with unchecked.capture() as graph:
        x.assign(x + 1)
        result = x * 2
    graph.replay()
    for array in (x, result):
        array.requires_grad = True
        y = (array * array).sum()
        y.backward(retain_graph=True)
        graph.replay()
        with pytest.raises(UnsupportedError, match=r"^backward: an array that multiply read was changed"):
            y.backward()


def test_a_forward_pass_may_be_replayed_before_it_is_followed_back(unchecked: Device) -> None:
    """The first replay gives the values that the graph of nodes keeps."""
    x = leaf(unchecked, [1, 2, 3])
    with unchecked.capture() as graph:
        y = (6 / x).sum()  # Its rule reads the quotient.
    graph.replay()
    y.backward()
    np.testing.assert_allclose(gradient(x), [-6, -1.5, -2 / 3], rtol=1e-6)


def test_kernels_of_users_refuse_recorded_arrays(unchecked: Device) -> None:
    double = rp.Kernel(DOUBLE, device=unchecked, name="double")
    x = leaf(unchecked, [1, 2, 3, 4])
    with pytest.raises(UnsupportedError, match=r"^double: writes in place are not recorded, and an array"):
        double(x=x, workgroups=1)
    np.testing.assert_array_equal(x.numpy(), [1, 2, 3, 4])


def test_writes_to_and_from_recorded_arrays_are_refused(unchecked: Device) -> None:
    x, plain = leaf(unchecked, [1, 2]), on(unchecked, np.zeros(2, np.float32))
    for write in (lambda: x.assign(0.0), lambda: plain.assign(x), lambda: x[:1].assign(0.0)):
        with pytest.raises(UnsupportedError, match=r"^assign: writes in place are not recorded"):
            write()
    np.testing.assert_array_equal(x.numpy(), [1, 2])
    np.testing.assert_array_equal(plain.numpy(), [0, 0])


def test_gradients_of_two_leaves_share_no_memory(unchecked: Device) -> None:
    """Addition gives the same gradient to both; and the one that a user passes stays the user's."""
    x, y = leaf(unchecked, [1, 2]), leaf(unchecked, [3, 4])
    given = on(unchecked, np.ones(2, np.float32))
    (x + y).backward(given)
    assert x.grad is not None
    assert y.grad is not None
    x.grad.assign(5.0)
    np.testing.assert_array_equal(gradient(y), [1, 1])
    y.grad.assign(6.0)
    np.testing.assert_array_equal(given.numpy(), [1, 1])


def test_reading_a_recorded_array_just_reads(unchecked: Device) -> None:
    x = leaf(unchecked, [1, 2, 3])
    y = x * x
    assert "requires_grad" not in repr(y)
    np.testing.assert_array_equal(y[::2].numpy(), [1, 9])
    total = y.sum()
    assert float(total) == 14
    total.backward()
    np.testing.assert_array_equal(gradient(x), [2, 4, 6])


def test_nothing_is_recorded_without_gradients_or_on_detached_arrays(unchecked: Device) -> None:
    x = leaf(unchecked, [1, 2])
    with rp.no_grad():
        assert not (x * 2).requires_grad
        assert not x[0].requires_grad
    assert not (x.detach() * 2).requires_grad
    assert not (x > 1).requires_grad
    assert not x.astype("i32").requires_grad
    assert (x * 2).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad


def test_no_grad_is_for_its_own_thread(unchecked: Device) -> None:
    x, seen = leaf(unchecked, [1.0]), []
    with rp.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_what_has_no_gradient_is_refused_by_its_reason(unchecked: Device) -> None:
    x = leaf(unchecked, [[1, 2], [3, 4]])
    for bad, error, said in (
        (lambda: x.backward(), ShapeError, r"^backward: of one number only, not of shape \(2, 2\)"),
        (
            lambda: x.sum().backward(on(unchecked, np.ones(2, np.float32))),
            ShapeError,
            "^backward: gradient is",
        ),
        (lambda: x.detach().sum().backward(), UnsupportedError, "^backward: nothing was recorded"),
        (
            lambda: setattr(x * 2, "requires_grad", True),
            UnsupportedError,
            "^requires_grad: the array is a res",
        ),
        (lambda: setattr(x * 2, "grad", None), UnsupportedError, "^grad: only an array with requires_grad"),
        (lambda: leaf(unchecked, [1]).astype("i32").backward(), UnsupportedError, "nothing was recorded"),
        (lambda: rp.grad(lambda x: x.sum())([1, 2]), DtypeError, "^grad: only floats have gradients: .* i32"),
        (lambda: rp.grad(lambda x: x)([1.0, 2.0]), ShapeError, "^backward: of one number only"),
        (lambda: rp.grad(lambda x: 1.0)([1.0]), UnsupportedError, "^grad: the function returns float"),
        (lambda: rp.grad(lambda x: x.sum(), 2)([1.0]), ShapeError, "^grad: no argument 2"),
        (lambda: rp.grad(lambda x: x.sum(), "x"), DtypeError, "^grad: an argument's position is an integer"),
        (
            lambda: rp.value_and_grad(lambda x: (x.sum(), 1, 2), has_aux=True)([1.0]),
            UnsupportedError,
            r"^grad: with has_aux, the function returns \(number, more\): got tuple of 3",
        ),
        (
            lambda: setattr(x, "grad", on(unchecked, np.ones(2, np.float32))),
            ShapeError,
            r"^grad: a gradient is f32 of shape \(2, 2\) as its array is: got f32 of \(2,\)",
        ),
        (lambda: setattr(x, "grad", 1.0), UnsupportedError, "^grad: an array or None: got float"),
    ):
        with pytest.raises(error, match=said):
            bad()
    integers = on(unchecked, np.ones(2, np.int32))
    with pytest.raises(DtypeError, match=r"^requires_grad: only floats have gradients: i32$"):
        integers.requires_grad = True


def test_an_operation_without_rule_is_refused_when_it_is_recorded(
    unchecked: Device,
) -> None:
    x = leaf(unchecked, [1.0])
    for reason, said in (("for a test", "for a test"), (None, "its record has no rule")):
        with (
            ruled("add", reason),
            pytest.raises(UnsupportedError, match=f"^add: has no gradient: {said}: apply it within"),
        ):
            x + x


@contextmanager
def ruled(name: str, gradient: Gradient | str | None) -> Iterator[None]:
    """A block in which an operation has another gradient rule."""
    operation = OPERATIONS[name]
    right = operation.gradient
    object.__setattr__(operation, "gradient", gradient)
    try:
        yield
    finally:
        object.__setattr__(operation, "gradient", right)


def test_grad_and_value_and_grad_take_structures_and_several_arguments() -> None:
    def loss(layers: list[dict[str, Array]], x: Array, factor: float) -> tuple[Array, str]:
        for layer in layers:
            x = x * layer["w"] + layer["b"]
        return (x * factor).sum(), "more"

    layers = [{"w": rp.array([2.0]), "b": rp.array([1.0])}, {"w": rp.array([3.0]), "b": rp.array([5.0])}]
    both = rp.value_and_grad(loss, (0, 1), has_aux=True)
    (value, more), (gradients, of_x) = both(layers, np.array([4], np.float32), 10.0)
    assert (float(value), more) == (320, "more")
    assert not value.requires_grad
    found = [{name: float(g.numpy()[0]) for name, g in layer.items()} for layer in gradients]
    assert found == [{"w": 120, "b": 30}, {"w": 90, "b": 10}]
    np.testing.assert_array_equal(of_x.numpy(), [60])
    unused = rp.grad(lambda x, y: x.sum(), 1)(rp.array([1.0]), rp.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(unused.numpy(), [[0, 0]])


class Layer(NamedTuple):
    w: object
    b: object


def test_structures_may_be_named_tuples_and_lists_of_numpy_arrays() -> None:
    given = Layer(np.float32([1, 2]), np.float32([3, 4, 5]))
    of_layer = rp.grad(lambda layer: (layer.w * 2).sum() + layer.b.sum())(given)
    assert isinstance(of_layer, Layer)
    assert [each.tolist() for each in of_layer] == [[2, 2], [1, 1, 1]]
    of_list = rp.grad(lambda arrays: (arrays[0] * arrays[1]).sum(), np.int64(0))([*2 * [np.float32([1, 2])]])
    assert [each.tolist() for each in of_list] == [[1, 2], [1, 2]]


def test_the_gradient_of_a_result_may_be_an_array_like(unchecked: Device) -> None:
    for g in (np.float32([1, 2]), [1.0, 2.0], np.array([1.0, 2.0])):
        x = leaf(unchecked, [3, 4])
        (x * x).backward(g)
        np.testing.assert_array_equal(gradient(x), [6, 16])
    x = leaf(unchecked, [3, 4])
    (x * x).sum().backward(0.5)
    np.testing.assert_array_equal(gradient(x), [3, 4])


def test_gradients_of_another_device_are_refused(unchecked: Device) -> None:
    x = leaf(unchecked, [3, 4])
    with Device(unchecked.adapter) as other:
        g = rp.ones(2, device=other)
        with pytest.raises(DeviceError, match=r"^backward: gradient is of another device"):
            (x * 2).backward(g)
        with pytest.raises(DeviceError, match=r"^grad: an array of another device"):
            x.grad = g


def test_higher_derivatives_by_nesting() -> None:
    x = rp.array([1.0, 2.0])
    derivative = summed(lambda x: x * x * x * x)
    for expected in ([4, 32], [12, 48], [24, 48], [24, 24], [0, 0]):
        gradients = rp.grad(derivative)
        np.testing.assert_array_equal(gradients(x).numpy(), expected)
        derivative = summed(gradients)


def summed(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: function(x).sum()


def test_a_gradient_can_be_differentiated_for_what_its_function_closes_over(unchecked: Device) -> None:
    w, x = leaf(unchecked, [1, 2, 3]), on(unchecked, np.array([4, 5, 6], np.float32))
    inner = rp.grad(lambda x: (w * w * x * x).sum())(x)  # 2 w^2 x
    assert inner.requires_grad
    inner.sum().backward()
    np.testing.assert_array_equal(gradient(w), 4 * np.array([4, 10, 18]))
    y = leaf(unchecked, [1, 2, 3])
    rp.grad(lambda y: (y * y * y).sum())(y).sum().backward()
    np.testing.assert_array_equal(gradient(y), [6, 12, 18])
    assert w.grad is not None


def test_gradients_for_what_a_function_closes_over_are_not_accumulated(unchecked: Device) -> None:
    w = leaf(unchecked, [1, 2, 3])
    rp.grad(lambda x: (w * x).sum())(on(unchecked, np.ones(3, np.float32)))
    assert w.grad is None


def test_a_backward_pass_is_captured_and_replayed(unchecked: Device) -> None:
    x, w = on(unchecked, np.ones((4, 8), np.float32)), leaf(unchecked, np.full((8, 2), 0.5))
    with unchecked.capture() as graph:
        value, g = rp.value_and_grad(lambda w: ((x @ w) * (x @ w)).sum())(w.detach())
    for seed in range(2):
        fresh = np.random.default_rng(seed).random((4, 8), np.float32)
        x.assign(fresh)
        graph.replay()
        np.testing.assert_allclose(g.numpy(), 2 * fresh.T @ (fresh @ np.full((8, 2), 0.5)), rtol=1e-5)
    assert value.shape == ()


def test_two_runs_give_the_same_bits(unchecked: Device) -> None:
    values = np.random.default_rng(3).standard_normal((16, 16), np.float32)

    def run() -> Iterator[bytes]:
        x, w = leaf(unchecked, values), leaf(unchecked, values.T)
        ((x @ w + w) / (x * x + 1)).sum().backward()
        for each in (x, w):
            yield gradient(each).tobytes()

    assert list(run()) == list(run())


def test_products_with_bias_and_vectors(unchecked: Device) -> None:
    rng = np.random.default_rng(5)
    for a, b in (
        ((7,), (7,)),
        ((5, 7), (7,)),
        ((7,), (7, 3)),
        ((2, 5, 7), (7, 3)),
        ((2, 1, 5, 7), (3, 7, 4)),
    ):
        x, y = (rng.standard_normal(shape).astype(np.float32) for shape in (a, b))
        rp.gradcheck(lambda x, y: x @ y, [on(unchecked, x), on(unchecked, y)], reference=lambda x, y: x @ y)
    x, y, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 7), (7, 3), (3,)))
    rp.gradcheck(
        lambda x, y, bias: rp.matmul(x, y, bias=bias),
        [on(unchecked, each) for each in (x, y, bias)],
        reference=lambda x, y, bias: x @ y + bias,
    )


def test_gradcheck_finds_a_wrong_entry_and_reports(unchecked: Device) -> None:
    x = on(unchecked, np.random.default_rng(2).standard_normal((3, 5)).astype(np.float32))
    report = rp.gradcheck(lambda x: x * x * x, [x])
    assert report.passed
    assert 0 <= report.mean_error <= report.max_error <= report.tolerance
    with ruled("multiply", Gradient(joint=lambda g, out, x, y, wanted: (g * y, g * x * 1.01))):
        for reference in (None, lambda x: x * x * x):
            with pytest.raises(GradientError, match=r"^gradcheck: gradients of cube differ from differences"):
                rp.gradcheck(cube, [x], reference=reference)
        assert not rp.gradcheck(cube, [x], raise_error=False).passed
    with pytest.raises(DtypeError, match=r"^gradcheck: inputs are float32: got i32$"):
        rp.gradcheck(cube, [[1, 2]])
    with pytest.raises(ShapeError, match=r"^gradcheck: needs 1 input and 1 pair or more: got 1 and 0$"):
        rp.gradcheck(cube, [x], pairs=0)
    with pytest.raises(UnsupportedError, match=r"^gradcheck: the function returns float, not an array$"):
        rp.gradcheck(lambda x: 1.0, [x])  # type: ignore[arg-type, return-value]


def cube(x: Array) -> Array:
    return x * x * x
