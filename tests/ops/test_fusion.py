"""Fused functions: the values of the unfused ones in every layout, few kernels, and clear errors."""

import math
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError, UnsupportedError
from rusty_py.measure.fused_functions import FUNCTIONS, moved_bytes
from rusty_py.measure.operation_work import OperationWork, collected
from rusty_py.operation import HOOKS, OPERATIONS, Operation, apply
from rusty_py.ops import generator
from rusty_py.ops.all import ROWS
from rusty_py.ops.fuser import MAX_STEPS
from rusty_py.ops.reduce.passes import depth
from rusty_py.runtime.launch import run
from rusty_py.samples import values

from ..each import each_reported
from .operands import needs, on

pytestmark = pytest.mark.usefixtures("short_kernels")
F32, F16, I32 = (rp.dtypes.F32, rp.dtypes.F16, rp.dtypes.I32)


def kernels(text: str) -> int:
    return text.count("@compute")


def small(kind: np.dtype[Any], *shape: int, seed: int) -> np.ndarray:
    """Integers from -2 to 2: a few products of them are exact in every dtype."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(kind)


# From an array of shape (12, 20) to one that broadcasts to (6, 10).
OPERANDS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: x.reshape(-1)[:60].reshape(6, 10),
    "odd offset": lambda x: x.reshape(-1)[7:67].reshape(6, 10),
    "inside": lambda x: x[3:9, 5:15],
    "transposed": lambda x: x[:10, :6].T,
    "reversed": lambda x: x[:6, :10][::-1, ::-1],
    "every other": lambda x: x[1::2, ::2],
    "one row": lambda x: x[4, 3:13],
    "one column": lambda x: x[2:8, 4:5],
    "stride 0": lambda x: (
        rp.broadcast_to(x[5:6, :10], (6, 10))
        if isinstance(x, Array)
        else np.broadcast_to(x[5:6, :10], (6, 10))
    ),
    "one element": lambda x: x[2, 3],
}

UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "negative": lambda _, x: -x,
    "absolute": lambda _, x: abs(x),
    "number": lambda _, x: 3 - x * 2,
    "backwards": lambda _, x: x[..., ::-1] if x.ndim else x,
    "turned twice": lambda _, x: (x.T + x.T).T,
    "shifted": lambda lib, x: (
        lib.concat((x[..., 1:], x[..., :1]), axis=-1) if x.ndim and hasattr(rp, "concat") else x
    ),
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda _, x, y: x + y,
    "subtract": lambda _, x, y: x - y,
    "multiply": lambda _, x, y: x * y,
    "maximum": lambda lib, x, y: lib.maximum(x, y),
    "where": lambda lib, x, y: lib.where(x > y, y, x + 1),
}


def tree(depth: int) -> st.SearchStrategy[Any]:
    """A leaf is the number of an input; others are a name and one or two trees. At most two products."""
    leaf = st.integers(0, 2)
    if not depth:
        return leaf
    rest = tree(depth - 1)
    return (
        st.tuples(st.sampled_from(sorted(UNARY)), rest)
        | st.tuples(st.sampled_from(sorted(BINARY)), rest, rest)
        | leaf
    )


def computed(lib: Any, node: Any, inputs: tuple[Any, ...]) -> Any:
    if isinstance(node, int):
        return inputs[node]
    name, *operands = node
    found = [computed(lib, each, inputs) for each in operands]
    return (UNARY | BINARY)[name](lib, *found)


def assert_tree_fused(device: Device, node: Any, layouts: list[str], kind: np.dtype[Any]) -> None:
    hosts = [OPERANDS[name](small(kind, 12, 20, seed=i)) for i, name in enumerate(layouts)]
    arrays = [OPERANDS[name](on(device, small(kind, 12, 20, seed=i))) for i, name in enumerate(layouts)]
    result = rp.fuse(lambda *inputs: computed(rp, node, inputs) + inputs[0])(*arrays)
    expected = np.asarray(computed(np, node, tuple(hosts)) + hosts[0])
    assert result.dtype == kind
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.one_mode
@settings(max_examples=8)
@given(
    node=tree(3),
    layouts=st.lists(st.sampled_from(sorted(OPERANDS)), min_size=3, max_size=3),
    kind=st.sampled_from([np.dtype(np.float32), np.dtype(np.int32)]),
)
def test_any_expression_of_any_layouts_is_what_numpy_computes(
    unchecked: Device, node: Any, layouts: list[str], kind: np.dtype[Any]
) -> None:
    assert_tree_fused(unchecked, node, layouts, kind)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    node=tree(4),
    layouts=st.lists(st.sampled_from(sorted(OPERANDS)), min_size=3, max_size=3),
    kind=st.sampled_from([np.dtype(np.float32), np.dtype(np.int32)]),
)
def test_many_expressions_are_what_numpy_computes(
    device: Device, node: Any, layouts: list[str], kind: np.dtype[Any]
) -> None:
    assert_tree_fused(device, node, layouts, kind)


def test_each_operand_layout_may_meet_each_other(device: Device) -> None:
    function = rp.fuse(lambda x, y: (x - y) * (x + y))
    with each_reported() as case:
        for a, b in zip(OPERANDS, [*OPERANDS][3:] + [*OPERANDS][:3], strict=True):
            x, y = small(np.dtype(np.int32), 12, 20, seed=1), small(np.dtype(np.int32), 12, 20, seed=2)
            with case(f"{a}, {b}"):
                host = (OPERANDS[a](x), OPERANDS[b](y))
                result = function(OPERANDS[a](on(device, x)), OPERANDS[b](on(device, y)))
                np.testing.assert_array_equal(result.numpy(), function.function(*host))


def test_a_common_subexpression_is_computed_once(unchecked: Device) -> None:
    @rp.fuse
    def f(x: Array, y: Array) -> Array:
        return rp.exp(x + y) * rp.exp(x + y) - rp.tanh(rp.exp(x + y))

    x = on(unchecked, np.ones(8, np.float32))
    text = f.wgsl(x, x)
    assert kernels(text) == 1
    body = text[text.index("fn apply(") : text.index("fn run(")]
    assert len(re.findall(r"accurate_exp\(", body)) == 1
    assert body.count(" + ") == 1
    assert body.count("let t") == 5


def test_views_of_inputs_and_of_results_are_part_of_the_kernel(unchecked: Device) -> None:
    def f(x: Array, y: Array) -> Array:
        t = x * y
        return (t[:, 1:] - t[:, :-1]).T[::-1] + t.T[1:, None, 0] * 2

    x, y = values(I32, 6, 8, seed=1), values(I32, 6, 8, seed=2)
    fused = rp.fuse(f)
    arrays = on(unchecked, x), on(unchecked, y)
    np.testing.assert_array_equal(fused(*arrays).numpy(), f(x, y))  # type: ignore[arg-type]
    assert kernels(fused.wgsl(*arrays)) == 1


def test_a_reshape_that_joins_axes_takes_another_kernel(unchecked: Device) -> None:
    f = rp.fuse(lambda x: (x[:, ::2] + 1).reshape(-1) * 3)
    x = values(I32, 6, 8)
    np.testing.assert_array_equal(f(on(unchecked, x)).numpy(), f.function(x))
    assert kernels(f.wgsl(on(unchecked, x))) == 2


def test_other_kernels_are_launched_between_fused_ones(unchecked: Device) -> None:
    def f(x: Array, w: Array, bias: Array) -> Array:
        hidden = rp.maximum((x * 2) @ w + bias, 0)
        return hidden - rp.max(hidden, axis=1, keepdims=True) + 1

    x, w, bias = (small(np.dtype(np.float32), *s, seed=1) for s in ((4, 8), (8, 12), (12,)))
    fused = rp.fuse(f)
    arrays = [on(unchecked, each) for each in (x, w, bias)]
    hidden = np.maximum((x * 2) @ w + bias, 0)
    np.testing.assert_array_equal(fused(*arrays).numpy(), hidden - hidden.max(axis=1, keepdims=True) + 1)
    np.testing.assert_array_equal(fused(*arrays).numpy(), f(*arrays).numpy())


def test_reductions_read_through_the_steps_before_them(device: Device) -> None:
    x, y = small(np.dtype(np.int32), 6, 300, seed=1), small(np.dtype(np.int32), 300, seed=2)
    cases: dict[str, tuple[Callable[[Any, Any, Any], Any], int]] = {
        "rows": (lambda lib, x, y: lib.sum((x + y) * 2 - x, axis=1), 1),
        "columns": (lambda lib, x, y: lib.max(x * y, axis=0), 1),
        "all": (lambda lib, x, y: lib.sum(abs(x - y) + 1), 1),
        "no axis": (lambda lib, x, y: lib.sum(x - y, axis=()), 1),
        "kept": (lambda lib, x, y: x * 2 - lib.min(x * 2, axis=1, keepdims=True), 2),
        "view": (lambda lib, x, y: lib.sum((x * 2 + y)[::-2, 3:200].T, axis=0), 1),
        "where": (lambda lib, x, y: lib.argmax(lib.where(x > y, x, y), axis=1) + 1, 2),
        "any": (lambda lib, x, y: lib.any(x == y, axis=0), 1),
        "twice": (lambda lib, x, y: lib.sum(lib.sum(x * y, axis=1) * 3), 2),
        "constant": (lambda lib, x, y: lib.sum(lib.ones((4, 5), dtype="i4"), axis=0) + x[0, :5], 3),
    }
    with each_reported() as case:
        for name, (function, count) in cases.items():
            with case(name):
                fused = rp.fuse(partial(function, rp))
                arrays = on(device, x), on(device, y)
                np.testing.assert_array_equal(fused(*arrays).numpy(), function(np, x, y))
                assert kernels(fused.wgsl(*arrays)) == count


@pytest.mark.one_mode
def test_a_fused_reduction_of_more_axes_than_a_kernel_takes_reads_a_copy(device: Device) -> None:
    x = small(np.dtype(np.int32), 4, 4, 4, 4, 4, seed=1)
    view = on(device, x)[::2, ::2, ::2, ::2, ::2]
    with each_reported() as case:
        for axis in (-1, (0, 2, 4), None):
            with case(str(axis)):
                result = rp.fuse(lambda x, axis=axis: rp.sum(x * 3 + 1, axis=axis))(view)
                np.testing.assert_array_equal(result, (x[::2, ::2, ::2, ::2, ::2] * 3 + 1).sum(axis=axis))


def test_rows_are_read_through_the_steps_before_them(device: Device) -> None:
    x, row, column = (values(F32, *shape, seed=3) for shape in ((9, 132), (132,), (9, 1)))
    cases: dict[str, tuple[Callable[..., Array], int]] = {
        "softmax": (lambda x, row, _: rp.softmax(x * 2 + row), 1),
        "columns": (lambda x, _, column: rp.softmax(x * column, axis=0), 1),
        "numbers": (lambda x, *_: rp.log_softmax(((x * 2 + 1) * 0.5 - 3) / 2 + 5 * x), 1),
        "view": (lambda x, row, column: rp.softmax(rp.where(x > 0, row, column)[::-1, 1:]), 1),
        "layer_norm": (lambda x, row, _: rp.layer_norm(x + row, row, row, normalized_shape=(132,)), 1),
        "after": (lambda x, row, column: rp.rms_norm(x - column, row) * column + 1, 2),
        "across": (lambda x, row, _: rp.softmax((x * row).T), 2),
        "mixed": (lambda x, row, _: rp.softmax((x * 3).astype("i32").astype("f32") * row), 1),
    }
    arrays = [on(device, each) for each in (x, row, column)]
    with each_reported() as case:
        for name, (function, count) in cases.items():
            with case(name):
                fused = rp.fuse(function)
                result, expected = fused(*arrays).numpy(), function(*arrays).numpy()
                np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)
                assert kernels(fused.wgsl(*arrays)) == count


def test_what_is_read_through_is_placed_as_the_trace_has_it(device: Device) -> None:
    x, column = (values(F32, *shape, seed=4) for shape in ((2, 5, 3), (3, 1)))
    cases: dict[str, Callable[[Array, Array], Array]] = {
        "sum": lambda x, _: rp.sum(x * 2, axis=0),
        "steps after it": lambda x, _: rp.sum(x * 2, axis=0) + 1,
        "view": lambda x, _: rp.max(x * 2, axis=0)[1:].T * 2,
        "broadcast": lambda x, column: rp.argmax(x * column, axis=0),
        "kept": lambda x, column: rp.var(x * column, axis=0, keepdims=True) - x,
        "result of a view": lambda x, column: rp.softmax((x * column).transpose(2, 0, 1), axis=1) * 2,
        "gradient": lambda x, column: rp.grad(lambda row: (x * row * column * row).sum())(x[0]),
    }
    arrays = on(device, x).transpose(0, 2, 1), on(device, column)
    with each_reported() as case:
        for name, function in cases.items():
            with case(name):
                result, expected = rp.fuse(function)(*arrays), function(*arrays)
                np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_choices_and_copies_are_read_as_elements(device: Device) -> None:
    x = values(F32, 4, 6, seed=5)
    cases: dict[str, Callable[[Array, Array], Array]] = {
        "where": lambda x, mask: rp.where(mask, x, 0.5),
        "where of arrays": lambda x, mask: rp.where(mask, x, x[::-1]),
        "copy": lambda x, _: x.copy(),
        "transposed copy": lambda x, _: x.T.copy(),
        "tile": lambda x, _: rp.tile(x, (2, 1)),
    }
    readers: dict[str, Callable[[Array], Array]] = {
        "sum": lambda x: rp.sum(x, axis=1),
        "columns": lambda x: rp.logsumexp(x, axis=0),
        "softmax": rp.softmax,
        "layer_norm": rp.layer_norm,
    }
    arrays = on(device, x), on(device, x > 0)
    with each_reported() as case:
        for name, function in cases.items():
            for reader, read in readers.items():
                with case(f"{reader} of {name}"):
                    result = rp.fuse(lambda *given, f=function, r=read: r(f(*given)))(*arrays)
                    expected = read(function(*arrays)).numpy()
                    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_fused_reduction_is_as_accurate_as_an_unfused_one(unchecked: Device) -> None:
    def f(x: Array, y: Array) -> Array:
        return rp.mean(rp.tanh((x + y) * 2.0), axis=1)

    x, y = (values(F32, 7, 1000, seed=i) for i in (1, 2))
    result = rp.fuse(f)(on(unchecked, x), on(unchecked, y)).numpy()
    exact = np.tanh((x.astype(np.float64) + y) * 2)
    bound = (depth(1000) + 16) * F32.eps * np.abs(exact).mean(axis=1)
    assert np.all(np.abs(result - exact.mean(axis=1)) <= bound)


# Numbers.


def test_another_number_compiles_and_plans_nothing(unchecked: Device) -> None:
    calls = []

    @rp.fuse
    def f(x: Array, scale: float, n: int) -> Array:
        calls.append(1)
        return (x * (scale + 1) - 0.5) / scale + n * 2

    x = on(unchecked, np.arange(5, dtype=np.float32))
    f(x, 2.0, 3)
    before = unchecked.cache_stats()
    for scale, n in ((4.0, -1), (0.5, 0), (-0.25, 2**20)):
        host = np.arange(5, dtype=np.float32)
        expected = (host * np.float32(scale + 1) - np.float32(0.5)) / np.float32(scale) + np.float32(n * 2)
        np.testing.assert_allclose(f(x, scale, n).numpy(), expected, rtol=4 * F32.eps, atol=1e-6)
    after = unchecked.cache_stats()
    assert (after.pipeline_misses, after.plan_misses) == (before.pipeline_misses, before.plan_misses)
    assert calls == [1]
    # Nor does another function of the same structure.
    other = rp.fuse(lambda x, scale, n: (x * (scale + 3) - 7.5) / scale + n * 5)
    other(x, 1.5, 2)
    assert unchecked.cache_stats().pipeline_misses == before.pipeline_misses


def test_a_number_whose_value_decides_is_part_of_the_signature(unchecked: Device) -> None:
    calls = []

    @rp.fuse
    def f(x: Array, s: float, n: int) -> Array:
        calls.append((s > 0, n + 0 == 2))
        y = x**n if s > 0 else -x
        return y * math.sqrt(abs(s)) if n < 3 else y.reshape(n, -1)

    x = on(unchecked, np.arange(12, dtype=np.float32))
    for s, n in ((4.0, 2), (-4.0, 2), (9.0, 2), (4.0, 3), (-4.0, 2), (-0.0, 2), (0.0, 2)):
        expected = f.function(x, s, n).numpy()
        np.testing.assert_array_equal(f(x, s, n).numpy(), expected)
        assert np.array_equal(np.signbit(f(x, s, n).numpy()), np.signbit(expected))
    calls.clear()
    f(x, 4.0, 2)
    assert not calls


def test_a_number_that_does_not_fit_is_refused_at_each_call(unchecked: Device) -> None:
    f = rp.fuse(lambda x, n: x + n * 2)
    x = on(unchecked, np.ones(3, np.int32))
    assert f(x, 3).tolist() == [7, 7, 7]
    with pytest.raises(DtypeError, match=r"^add: the integer does not fit i32: 4294967296"):
        f(x, 1 << 31)
    with pytest.raises(DtypeError, match=r"^add: dtypes do not mix: i32 and the float 1.0"):
        f(x, 0.5)
    assert f(x, 4).tolist() == [9, 9, 9]


def test_arithmetic_of_numbers_is_pythons(unchecked: Device) -> None:
    def f(x: Array, a: float, n: int) -> Array:
        number = (-a + n // 2 - n % 3) / (1 + abs(a)) * 2**3 - a**2 + 7 - +a + max(a, n) + round(a)
        return x * number + (1 if isinstance(a, float) and isinstance(n, int) else 0)

    x = on(unchecked, np.ones(1, np.float32))
    fused = rp.fuse(f)
    for a, n in ((0.75, 5), (-2.5, -7), (1e3, 12)):
        assert fused(x, a, n).item() == f(x, a, n).item()


def test_other_arguments_are_part_of_the_signature(unchecked: Device) -> None:
    @rp.fuse
    def f(x: Array, *, axes: tuple[int, ...], flip: bool = False, name: str | None = None) -> Array:
        y = rp.sum(x, axis=axes)
        return -y if flip or name == "minus" else y * 1

    x = on(unchecked, np.ones((2, 3, 4), np.float32))
    assert f(x, axes=(0, 1)).tolist() == [6] * 4
    assert f(x, axes=(1, 2)).tolist() == [12] * 2
    assert f(x, axes=(1, 2), flip=True).tolist() == [-12] * 2
    assert f(x, axes=(1, 2), name="minus").tolist() == [-12] * 2
    assert f(np.ones((2, 3, 4), np.float32), axes=(0, 1, 2)).item() == 24
    assert repr(f) == "<rp.fuse of f: 5 signatures traced>"
    with pytest.raises(
        UnsupportedError, match=r"^fuse: f takes arrays, numbers and hashable values: got list"
    ):
        f(x, axes=[0])  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"^fuse: f is called without an array: got 0 arguments"):
        f(axes=(0,))  # type: ignore[call-arg]


def test_numbers_of_numpy_are_told_apart_by_their_bits(unchecked: Device) -> None:
    f = rp.fuse(lambda x, s: rp.copysign(x, s))
    x = on(unchecked, np.ones(2, np.float32))
    for value, expected in ((0.0, 1), (-0.0, -1), (np.nan, 1), (np.nan, 1)):
        assert f(x, np.float32(value)).tolist() == [expected] * 2
    assert repr(f).endswith("3 signatures traced>")


def test_numbers_are_chosen_and_listed(unchecked: Device) -> None:
    x = on(unchecked, np.float32([1, 2, 3]))
    chosen = rp.fuse(lambda x, s: rp.where(x > s, s, -s))
    listed = rp.fuse(lambda x, s: x + rp.array([s, 2 * s, 0.0], device=unchecked))
    for s in (1.5, 2.5):
        assert chosen(x, s).tolist() == np.where(x.numpy() > s, s, -s).tolist()
        assert listed(x, s).tolist() == [1 + s, 2 + 2 * s, 3]


class Both(NamedTuple):
    first: object
    second: object


def test_results_may_be_a_named_tuple(unchecked: Device) -> None:
    found = rp.fuse(lambda x: Both(x + 1, x * 2))(on(unchecked, np.float32([1, 2])))
    assert isinstance(found, Both)
    assert [each.tolist() for each in found] == [[2, 3], [2, 4]]


# What a function reads from around it.


FACTOR = 2.0


def test_globals_are_seen_in_comprehensions_and_inner_functions(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = on(unchecked, np.float32([1, 2]))
    first = rp.fuse(lambda x: sum([x * FACTOR for _ in range(2)]))
    second = rp.fuse(lambda x: (lambda y: y * FACTOR)(x))
    assert (first(x).tolist(), second(x).tolist()) == ([4, 8], [2, 4])
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert (first(x).tolist(), second(x).tolist()) == ([6, 12], [3, 6])


def test_captured_arrays_are_read_at_each_call_and_new_ones_seen(unchecked: Device) -> None:
    w, scale = on(unchecked, np.ones(3, np.float32)), 2.0

    @rp.fuse
    def f(x: Array) -> Array:
        return x * w * scale + helper

    helper: Any = on(unchecked, np.zeros(3, np.float32))
    x = on(unchecked, np.arange(3, dtype=np.float32))
    assert f(x).tolist() == [0, 2, 4]
    w.assign([1.0, 2.0, 3.0])
    assert f(x).tolist() == [0, 4, 12]
    w = on(unchecked, np.full(3, 5, np.float32))
    assert f(x).tolist() == [0, 10, 20]
    scale = 1.0
    assert f(x).tolist() == [0, 5, 10]
    helper = 1.0
    assert f(x).tolist() == [1, 6, 11]


def test_constants_made_inside_are_part_of_the_kernel(unchecked: Device) -> None:
    kinds = ["f32", "i32", "u32", *["f16"] * ("shader-f16" in unchecked.adapter.features)]
    with each_reported() as case:
        for kind in kinds:
            with case(kind):
                ones = rp.ones(3, dtype=kind, device=unchecked)
                f = rp.fuse(lambda x, kind=kind: rp.where(x > 0, x, 7) + rp.full(3, 3, dtype=kind))
                x = rp.array([1, 0, 2], dtype=kind, device=unchecked)
                assert f(x).tolist() == [4, 10, 5]
                assert kernels(f.wgsl(ones)) == 1


# Dtypes.


def test_steps_in_f16_are_at_least_as_accurate_as_when_each_is_rounded(unchecked: Device) -> None:
    """Drivers may keep intermediate values in f32, so results may differ from the unfused ones."""
    needs(unchecked, F16)
    half = F16.eps / 2
    f = rp.fuse(lambda x, y: (rp.maximum(x + y, 0) - 2048).astype("f32") + rp.exp(y - x).astype("f32"))
    x, y = np.full(8, 2048, np.float16), np.arange(8, dtype=np.float16)
    assert np.all(np.abs(f(on(unchecked, x), on(unchecked, y)).numpy() - y) <= half * 2048)
    g = rp.fuse(lambda x, y: rp.tanh((x * 0.5 - y) * 2 + x).astype("f32") - rp.exp(y))
    x, y = values(F16, 200, seed=1), values(F16, 200, seed=2)
    a, b = x.astype(np.float64), y.astype(np.float64)
    difference, argument = a * 0.5 - b, (a * 0.5 - b) * 2 + a
    exact = np.tanh(argument) - np.exp(b)
    error_of_argument = half * (2 * np.abs(difference) + np.abs(a) + np.abs(argument))
    bound = error_of_argument + 1.1 * half * (np.abs(np.tanh(argument)) + np.exp(b)) + F32.eps * np.abs(exact)
    assert np.all(np.abs(g(on(unchecked, x), on(unchecked, y)).numpy() - exact) <= bound)


def test_dtypes_mix_as_unfused(unchecked: Device) -> None:
    def f(x: Array, n: Array, mask: Array) -> Array:
        chosen = rp.where(mask & (n > 0), n, -n).astype("f32")
        return rp.where(~mask, chosen * x, x.astype("i32").astype("bool").astype("f32")) + chosen.copy()

    x, n, mask = values(F32, 50), values(I32, 50) % 1000, values(rp.dtypes.BOOL, 50)
    arrays = [on(unchecked, each) for each in (x, n.astype(np.int32), mask)]
    fused = rp.fuse(f)
    np.testing.assert_allclose(fused(*arrays).numpy(), f(*arrays).numpy(), rtol=4 * F32.eps)
    assert kernels(fused.wgsl(*arrays)) == 1
    mixed = rp.fuse(lambda x, n: x + n * 2)
    with pytest.raises(DtypeError, match=r"^add: dtypes do not mix: f32 and i32"):
        mixed(*arrays[:2])
    with pytest.raises(ShapeError, match=r"^add: shapes do not broadcast: \(50,\), \(49,\)"):
        mixed(arrays[0], arrays[0][1:])


def test_special_values_go_through(unchecked: Device) -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], np.float32)
    f = rp.fuse(lambda x, y: (rp.maximum(x, y), rp.where(rp.isnan(x), y, x), -x, x == y))
    x, y = np.repeat(special, 6), np.tile(special, 6)
    results = f(on(unchecked, x), on(unchecked, y))
    assert isinstance(results, tuple)
    expected = np.maximum(x, y), np.where(np.isnan(x), y, x), -x, x == y
    for result, host in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.numpy(), host)
    number = ~np.isnan(x)  # The sign of a NaN is unspecified.
    np.testing.assert_array_equal(np.signbit(results[2].numpy())[number], np.signbit(-x)[number])


def test_helpers_of_the_same_name_are_kept_apart(unchecked: Device) -> None:
    f = rp.fuse(
        lambda x, n: rp.tanh(x**3) + rp.maximum(x, 1) + (n**2).astype("f32") + rp.exp(rp.minimum(x, 0))
    )
    x, n = on(unchecked, values(F32, 40)), on(unchecked, np.arange(40, dtype=np.int32))
    np.testing.assert_allclose(f(x, n).numpy(), f.function(x, n).numpy(), rtol=1e-5)
    assert kernels(f.wgsl(x, n)) == 1


def combined(*given: Array, kind: rp.dtypes.Dtype) -> Array:
    """Every elementwise operation of a dtype, added up as far as the results are finite."""
    total = given[0]
    for row in ROWS.values():
        if kind.kind in row.kinds and row.name not in ("divide", "power", "fmod", "remainder", "nextafter"):
            result = apply(OPERATIONS[row.name], *given[: row.operands_count])
            result = result if result.kind is kind else result.astype(kind)
            total = total + rp.where(abs(result) < 100, result, 1)
    return total


def test_all_operations_fit_together(unchecked: Device) -> None:
    with each_reported() as case:
        for kind in (F32, I32):
            x = [values(kind, 40, seed=i) % 7 for i in range(3)]
            arrays = [on(unchecked, (each + (each == 0)).astype(kind.numpy)) for each in x]
            function = partial(combined, kind=kind)
            with case(kind.name):
                result = rp.fuse(function)(*arrays).numpy()
                np.testing.assert_allclose(result, function(*arrays).numpy(), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("operation", [OPERATIONS[each] for each in ROWS], ids=lambda each: each.name)
def test_each_operation_is_fused_as_it_is_computed(unchecked: Device, operation: Operation) -> None:
    assert operation.expected is not None
    with each_reported() as case:
        for sample in operation.samples():
            if not sample.needs_f16 or "shader-f16" in unchecked.adapter.features:
                arrays = [on(unchecked, x) for x in sample.operands]
                fused = rp.fuse(lambda *given: apply(operation, *(x.copy() for x in given)).copy())
                with case(sample.name):
                    assert operation.expected(sample).error(fused(*arrays).numpy()) <= 1


# What does not fit one kernel.


def test_more_inputs_numbers_and_steps_than_fit_take_more_kernels(unchecked: Device) -> None:
    arrays = [on(unchecked, small(np.dtype(np.int32), 3, 5, seed=i)) for i in range(20)]
    hosts = [each.numpy() for each in arrays]
    many = rp.fuse(lambda *given: sum(given[1:], given[0]))
    np.testing.assert_array_equal(many(*arrays).numpy(), sum(hosts))
    assert kernels(many.wgsl(*arrays)) == 4

    def numbers(x: Any) -> Any:
        for i in range(2 * generator.MAX_NUMBERS):
            x = x * 3 + i
        return x

    fused = rp.fuse(numbers)
    np.testing.assert_array_equal(fused(arrays[0]).numpy(), numbers(hosts[0]))
    assert kernels(fused.wgsl(arrays[0])) == 3  # The factor 3 is one number where room is short.

    def steps(x: Any) -> Any:
        for _ in range(MAX_STEPS):
            x = -(x + x)
        return x + hosts[0].dtype.type(1).item()

    fused = rp.fuse(steps)
    np.testing.assert_array_equal(fused(arrays[0]).numpy(), steps(hosts[0]))
    assert kernels(fused.wgsl(arrays[0])) == 3
    # Up to 8 axes that lie apart.
    apart = rp.zeros((3,) * 8, dtype="i32", device=unchecked) + 1
    views = [apart[(slice(None, None, 2),) * 8], *(x[0, :2] for x in arrays[:5])]
    assert (many(*views).numpy() == 1 + sum(host[0, :2] for host in hosts[:5])).all()


def test_a_long_result_that_is_broadcast_is_computed_once(unchecked: Device) -> None:
    def f(x: Array, y: Array) -> Array:
        for _ in range(20):
            y = -(y + y)
        return x + y[:, None]

    x, y = on(unchecked, np.ones((4, 64), np.int32)), on(unchecked, np.ones(4, np.int32))
    fused = rp.fuse(f)
    assert (fused(x, y).numpy() == f(x, y).numpy()).all()
    assert kernels(fused.wgsl(x, y)) == 2


def test_arrays_larger_than_a_binding_are_computed_in_parts(adapter: rp.Adapter) -> None:
    x, y = small(np.dtype(np.float32), 20, 100, seed=1), small(np.dtype(np.float32), 100, seed=2)
    with Device(adapter, limits=replace(adapter.limits, binding_bytes=1024)) as device:
        arrays = on(device, x), on(device, y)
        for function in (
            lambda x, y, s: (x + 1) * s - y,
            lambda x, y, s: (y[:20, None] * y[None]) * s,
            lambda x, y, s: rp.softmax((x + 1) * s - y),
        ):
            fused = rp.fuse(function)
            for s in (2.0, 0.5):
                np.testing.assert_array_equal(fused(*arrays, s).numpy(), function(*arrays, s).numpy())


def test_nothing_and_views_as_results(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 3, 4))
    same, turned, list_of = (
        rp.fuse(lambda x: x),
        rp.fuse(lambda x: (x + 1).T),
        rp.fuse(lambda x: [x[1], x * 2]),
    )
    assert same(x).buffer is x.buffer
    assert turned(x).strides == (1, 4)
    np.testing.assert_array_equal(turned(x).numpy(), x.numpy().T + 1)
    first, second = list_of(x)
    assert first.tolist() == x[1].tolist()
    assert second.tolist() == (x * 2).tolist()
    for empty in (x[:0], x[:, 2:2]):
        assert rp.fuse(lambda x: rp.exp(x + 1).sum(axis=0) * 2)(empty).tolist() == [0.0] * empty.shape[1]


# In batches, graphs and threads.


def test_a_fused_function_is_captured_and_batched(unchecked: Device) -> None:
    f = rp.fuse(lambda x, s: (x * s + 1) * x)
    x = on(unchecked, np.arange(6, dtype=np.float32))
    with unchecked.batch():
        batched = f(x, 2.0)
    assert batched.tolist() == f(x, 2.0).tolist()
    with unchecked.capture() as graph:
        captured = f(f(x, 2.0), 0.5)
    assert graph.stats().launches == 2
    graph.replay()
    assert captured.tolist() == f(f(x, 2.0), 0.5).tolist()


def test_threads_trace_once_and_others_compute_meanwhile(unchecked: Device) -> None:
    calls, started, done = [], threading.Event(), threading.Event()

    @rp.fuse
    def f(x: Array) -> Array:
        calls.append(threading.get_ident())
        y = x * 2
        started.set()
        assert done.wait(60)
        return y + 1

    x = on(unchecked, np.arange(4, dtype=np.float32))
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(f(x).tolist())) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert started.wait(60)
    assert (x * 3).tolist() == [0, 3, 6, 9]  # Not part of the trace.
    done.set()
    for thread in threads:
        thread.join()
    assert results == [[1, 3, 5, 7]] * 3
    assert len(calls) == 1
    assert HOOKS.trace is None


def test_a_fused_function_is_traced_and_launched_inside_of_another_operation(unchecked: Device) -> None:
    f = rp.fuse(lambda x, s: rp.exp(x * s) + 1)
    x = on(unchecked, values(F32, 30))
    for s in (1.0, 2.0):
        launches, result = collected(unchecked, lambda s=s: f(x, s))
        assert len(launches) == 1
        run(unchecked, launches)
        np.testing.assert_array_equal(result.numpy(), f(x, s).numpy())


def test_a_fused_function_inside_another_is_part_of_it(unchecked: Device) -> None:
    inner = rp.fuse(lambda x, s: rp.exp(x) * s)
    outer = rp.fuse(lambda x, s: inner(x + 1, s) - inner(x + 1, s * 2))
    x = on(unchecked, values(F32, 30))
    assert kernels(outer.wgsl(x, 3.0)) == 1
    np.testing.assert_allclose(outer(x, 3.0).numpy(), -3 * np.exp(x.numpy() + 1), rtol=1e-5)


def test_common_patterns_are_functions_and_methods(unchecked: Device) -> None:
    host, row = np.rint(values(F32, 6, 8)), np.array([-1, 0, 1, 2, np.nan, 3, -2, 0.5], np.float32)
    x, y = on(unchecked, host), on(unchecked, row)
    pairs = [
        (rp.fused_add_relu(x, y), x.fused_add_relu(y), np.maximum(host + row, 0)),
        (rp.fused_mul_relu(x, -2.0), x.fused_mul_relu(-2.0), np.maximum(host * -2, 0)),
        (rp.fused_affine(x, 0.5, y), x.fused_affine(scale=0.5, bias=y), host * 0.5 + row),
        (rp.fused_affine(host, y, y), x.fused_affine(y, row), host * row + row),
    ]
    with each_reported() as case:
        for i, (function, method, expected) in enumerate(pairs):
            with case(i):
                np.testing.assert_array_equal(function.numpy(), expected)
                np.testing.assert_array_equal(method.numpy(), expected)
    assert rp.fused_affine.__doc__
    x.requires_grad = True
    x.fused_add_relu(1.0).backward(rp.ones((6, 8), device=unchecked))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), (host + 1 > 0).astype(np.float32))


# Gradients.


def gradients(function: Callable[..., Array], arrays: list[Array], *numbers: float) -> list[Any]:
    for x in arrays:
        x.grad = None
    result = function(*arrays, *numbers)
    result.backward(rp.ones(result.shape, device=result.device) * 0.5)
    return [None if x.grad is None else x.grad.numpy() for x in arrays]


def leaves(device: Device, *shapes: tuple[int, ...]) -> list[Array]:
    found = [on(device, values(F32, *shape, seed=i)) for i, shape in enumerate(shapes)]
    for each in found:
        each.requires_grad = True
    return found


def test_gradients_are_those_of_the_unfused_function(unchecked: Device) -> None:
    def f(x: Array, y: Array, s: float) -> Array:
        t = (x * y - x / (y * y)) * s + rp.where(x > y, x, y * s)
        return t.T[::-1, 1:] * rp.mean(t, axis=1)[1:] - rp.max(t, axis=0, keepdims=True).T[:, :1]

    arrays = leaves(unchecked, (5, 6), (6,))
    fused = rp.fuse(f)
    for s in (0.5, -2.0, 0.5):
        np.testing.assert_allclose(fused(*arrays, s).numpy(), f(*arrays, s).numpy(), rtol=1e-5, atol=1e-5)
        for result, expected in zip(gradients(fused, arrays, s), gradients(f, arrays, s), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_a_gradient_is_one_kernel_for_each_array_of_the_results_shape(unchecked: Device) -> None:
    arrays = leaves(unchecked, (8, 4), (8, 4))
    fused = rp.fuse(lambda x, y: (x * y + x) * (x - y) / y)
    gradients(fused, arrays)
    for x in arrays:
        x.grad = None
    with unchecked.capture() as graph:
        result = fused(*arrays)
        result.backward(arrays[0].detach())
    assert graph.stats().launches == 3


def test_second_derivatives_and_gradients_inside(unchecked: Device) -> None:
    def f(x: Array, s: float) -> Array:
        return rp.sum(x * x * x * s + x)

    x = on(unchecked, values(F32, 7))
    fused = rp.fuse(f)
    host = x.numpy().astype(np.float64)
    first, second = rp.grad(fused), rp.grad(lambda x, s: rp.sum(rp.grad(fused)(x, s)))
    inside = rp.fuse(rp.grad(f))
    both = rp.fuse(rp.value_and_grad(f))
    for s in (2.0, -1.5):
        np.testing.assert_allclose(first(x, s).numpy(), 3 * s * host**2 + 1, rtol=1e-5)
        np.testing.assert_allclose(second(x, s).numpy(), 6 * s * host, rtol=1e-5)
        np.testing.assert_allclose(inside(x, s).numpy(), 3 * s * host**2 + 1, rtol=1e-5)
        value, gradient = both(x, s)
        np.testing.assert_allclose(gradient.numpy(), 3 * s * host**2 + 1, rtol=1e-5)
        assert value.item() == pytest.approx(float(np.sum(s * host**3 + host)), rel=1e-5)


def test_captured_arrays_have_gradients(unchecked: Device) -> None:
    (w, x) = leaves(unchecked, (4,), (3, 4))
    fused = rp.fuse(lambda x: x * w)
    for _ in range(2):
        w.grad = None
        fused(x).backward(rp.ones((3, 4), device=unchecked))
        assert w.grad is not None
        np.testing.assert_allclose(w.grad.numpy(), x.numpy().sum(axis=0), rtol=1e-5)
    scaled = w * 2
    with pytest.raises(
        UnsupportedError, match=r"^fuse: <lambda> uses an array that is a result with a gradient"
    ):
        rp.fuse(lambda x: x * scaled)(x)
    with rp.no_grad():
        assert not fused(x).requires_grad


def test_a_gradient_that_is_missing_is_missed_by_the_backward_pass_alone(unchecked: Device) -> None:
    (x,) = leaves(unchecked, (4,))
    without = replace(OPERATIONS["tanh"], gradient="for a test")
    fused = rp.fuse(lambda x, y: apply(without, x) * y)
    y = fused(x, x)
    with pytest.raises(UnsupportedError, match=r"^tanh: has no gradient: for a test"):
        y.backward(x.detach())
    (z,) = leaves(unchecked, (4,))
    fused(x.detach(), z).backward(x.detach())
    assert z.grad is not None


def test_functions_to_measure_are_verified_and_move_fewer_bytes(unchecked: Device) -> None:
    saved = {"chain": 5, "fused_affine": 13 / 7, "fused_add_relu": 5 / 3, "mean_gelu": 4}
    saved |= {"fused_mul_relu": 5 / 3, "matmul_relu": 1}  # Of a product of thin matrices, nearly nothing.
    with each_reported() as case:
        for name, function in FUNCTIONS.items():
            moved = []
            for fused in (True, False):
                with case(f"{name}, {'fused' if fused else 'unfused'}"):
                    operation = function.operation(fused=fused)
                    (sample,) = operation.samples()
                    work = OperationWork(operation, sample, F32, unchecked, options={})
                    assert not work.verify().fault
                    moved.append(moved_bytes(work.launches()))
            with case(f"{name}, bytes"):
                assert moved[1] / moved[0] == pytest.approx(saved[name], rel=0.05)


# Errors.


class Model:
    w = 1.0

    @rp.fuse
    def forward(self, x: Array) -> Array:
        return x * self.w


def test_what_cannot_be_traced_is_refused_by_name(unchecked: Device) -> None:
    leaked: list[Array] = []

    def leak(x: Array) -> Array:
        leaked.append(x + 1)
        return x

    cases: dict[str, tuple[Callable[[Array], Any], str]] = {
        "bool": (lambda x: x if x[0] > 0 else -x, r"^bool: an array has no values while rp.fuse traces "),
        "float": (lambda x: x * float(x[0]), "^float: an array has no values"),
        "int": (lambda x: x * int(x[0]), "^int: an array has no values"),
        "index": (lambda x: range(x.astype("i32")[0]), "^index: an array has no values"),
        "iteration": (lambda x: rp.array(list(x)), "^iteration: an array has no values"),
        "numpy": (lambda x: x * x.numpy(), "^numpy: an array has no values"),
        "NumPy's": (lambda x: np.degrees(x), "^numpy: an array has no values"),
        "item": (lambda x: x * x[:1].item(), "^numpy: an array has no values"),
        "assign": (lambda x: x.assign(x), "^assign: writes into an array, which <lambda> cannot"),
        "None": (
            lambda _: None,
            "^fuse: <lambda> returns an array, or a tuple or list of them: got NoneType",
        ),
        "another trace": (lambda x: x + leaked[0], "^fuse: <lambda> uses an array of another trace, of leak"),
    }
    x = on(unchecked, np.ones(3, np.float32))
    rp.fuse(leak)(x)
    with each_reported() as case:
        for name, (function, said) in cases.items():
            with case(name), pytest.raises(UnsupportedError, match=said):
                rp.fuse(function)(x)
    with pytest.raises(UnsupportedError, match=r"^add: an array has no values"):
        leaked[0] + 1
    number = rp.fuse(lambda x, s: s * 2)
    with pytest.raises(UnsupportedError, match=r"^fuse: <lambda> returns an array.*got a number"):
        number(x, 2.0)
    with pytest.raises(UnsupportedError, match=r"^fuse: forward is a method"):
        Model().forward(x)
    assert "no values" in repr(leaked[0])
    assert HOOKS.trace is None
