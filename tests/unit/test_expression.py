"""Reference expressions: an allow-list over the syntax, and bounds for the rounding errors of float32."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rusty_py import DtypeError, LimitError, ShapeError, UnsupportedError
from rusty_py.expression import evaluate, parse, single_operation
from rusty_py.oracle import Expected

from ..each import each_reported

RNG = np.random.default_rng(0)
N = 1000
BUFFERS: dict[str, NDArray[Any]] = {
    "x": RNG.standard_normal(N).astype("f4"),
    "y": RNG.standard_normal(N).astype("f4"),
    "z": np.zeros(N, "f4"),
    "a": RNG.standard_normal((30, 40)).astype("f4"),
    "b": RNG.standard_normal((40, 20)).astype("f4"),
    "c": np.zeros((30, 20), "f4"),
    "rows": np.zeros((30, 1), "f4"),
    "h": RNG.standard_normal(N).astype("f2"),
    "h_out": np.zeros(N, "f2"),
    "i": RNG.integers(-(2**31), 2**31 - 1, N, dtype="i4"),
    "u": RNG.integers(0, 2**32 - 1, N, dtype="u4"),
    "i_out": np.zeros(N, "i4"),
    "u_out": np.zeros(N, "u4"),
    "one": np.zeros(1, "f4"),
}


def expected(text: str) -> Expected:
    return evaluate(parse(text), BUFFERS).expected


def in_numpy(text: str) -> NDArray[Any]:
    """The expression by NumPy, in the dtypes of the buffers."""
    name, _, expression = text.partition("=")
    with np.errstate(all="ignore"):
        result = eval(expression, {**vars(np), "np": np}, dict(BUFFERS))
    target = BUFFERS[name.strip()]
    return np.broadcast_to(np.asarray(result), target.shape).astype(target.dtype)


FLOATS = [
    "z = 3 * x + y",
    "z = x * y - 0.1 * x ** 2",
    "z = x / y",
    "z = -abs(x) ** 3 / (2.5 + y * y)",
    "z = exp(x) - exp2(y)",
    "z = np.log(abs(x)) + log2(abs(y) + 1)",
    "z = sqrt(x * x + y * y)",
    "z = tanh(3 * x)",
    "z = sin(x) * cos(y)",
    "z = maximum(x, 0) + minimum(y, -0.5)",
    "z = where(x > y, x * 2, y / 3)",
    "z = x % 0.3 + floor(10 * y) + x // 0.7",
    "z = abs(x) ** y",
    "z = 2 ** x",
    "z = (x > 0) * y",
    "z = i / 3",
    "z = x.reshape(10, -1).T.reshape(1000)",
    "z = x[::-1] + y[3]",
    "z = 1.5",
    "c = a @ b",
    "c = a @ b + 1",
    "rows = a.sum(axis=1, keepdims=True)",
    "rows = a.mean(axis=1, keepdims=True) - a.max(axis=-1, keepdims=True)",
    "one = sum(x * y)",
    "one = prod(x[:20])",
    "one = mean(x)",
]


def test_float32_is_within_the_bound_and_a_wrong_element_is_not() -> None:
    with each_reported() as case:
        for text in FLOATS:
            with case(text):
                reference = expected(text)
                result = in_numpy(text)
                assert reference.error(result) <= 1
                result = result.copy()
                result.flat[-1] += np.float32(0.01) + np.abs(result.flat[-1]) * np.float32(0.01)
                assert reference.error(result) > 1


def test_float16_is_within_the_bound_and_a_wrong_element_is_not() -> None:
    with each_reported() as case:
        for text in ("h_out = 3 * h + 0.1", "h_out = h * h - x", "h_out = maximum(h, 0)"):
            with case(text):
                reference, result = expected(text), in_numpy(text).copy()
                assert reference.error(result) <= 1
                result[-1] += 0.1
                assert reference.error(result) > 1


def test_integers_and_masks_are_exact() -> None:
    cases = {
        "i_out = i * 3 + 7": BUFFERS["i"] * np.int32(3) + np.int32(7),
        "i_out = i // 7 % 5": BUFFERS["i"] // 7 % 5,
        "u_out = u * u - 1": BUFFERS["u"] * BUFFERS["u"] - np.uint32(1),
        "u_out = i ** 3 == i": BUFFERS["i"] ** 3 == BUFFERS["i"],
        "u_out = x > y": BUFFERS["x"] > BUFFERS["y"],
        "i_out = where(i > 5, i, -i)": np.where(BUFFERS["i"] > 5, BUFFERS["i"], -BUFFERS["i"]),
        "i_out = i.sum()": np.full(N, BUFFERS["i"].sum(dtype=np.int32)),
        "i_out = floor(x)": np.floor(BUFFERS["x"]),
    }
    with each_reported() as case:
        for text, result in cases.items():
            with case(text):
                reference = expected(text)
                assert reference.error(result.astype(reference.reference.dtype)) == 0
                wrong = result.astype(np.float64)
                wrong[5] += 1
                assert reference.error(wrong.astype(reference.reference.dtype)) > 1


def test_decisions_within_the_rounding_error_may_go_either_way() -> None:
    x = np.float32([1, 2, 3])
    buffers = {"x": x, "z": np.zeros(3, "f4"), "m": np.zeros(3, "u4")}
    chosen = evaluate(parse("z = where(x / 3 * 3 > x, 100, -100)"), buffers).expected
    for result in ([100, -100, 100], [-100, 100, -100]):
        assert chosen.error(np.float32(result)) <= 1
    mask = evaluate(parse("m = x / 3 * 3 >= x"), buffers).expected
    assert mask.error(np.uint32([0, 1, 0])) <= 1
    steps = evaluate(parse("z = floor(x / 3 * 3)"), buffers).expected
    assert steps.error(x - 1) <= 1
    exact = evaluate(parse("m = x >= 2"), buffers).expected
    assert exact.error(np.uint32([0, 0, 1])) > 1


def test_errors_grow_as_they_are_passed_on() -> None:
    x = np.float32([1.0])
    y = np.float32([1.0 + 2.0**-20])
    buffers = {"x": x, "y": y, "z": np.zeros(1, "f4")}
    near = evaluate(parse("z = (y + 10) - (x + 10)"), buffers).expected
    plain = evaluate(parse("z = y - x"), buffers).expected
    assert near.bound is not None
    assert plain.bound is not None
    assert near.bound > 1e6 * plain.bound
    amplified = evaluate(parse("z = exp(20 * (x / 3))"), buffers).expected
    assert amplified.bound is not None
    assert 1e-6 < amplified.bound / amplified.reference < 1e-4


def test_infinities_and_nan_are_expected_as_such() -> None:
    buffers = {"x": np.float32([-1, 0, 100]), "z": np.zeros(3, "f4")}
    reference = evaluate(parse("z = log(x)"), buffers).expected
    assert reference.error(np.float32([np.nan, -np.inf, np.log(100)])) <= 1
    assert reference.error(np.float32([0, -np.inf, np.log(100)])) > 1
    overflow = evaluate(parse("z = exp(x)"), buffers).expected
    assert overflow.error(np.float32([np.exp(-1), 1, np.inf])) <= 1


def test_operations_are_counted() -> None:
    counts = {
        "z = 3 * x + y": 2 * N,
        "c = a @ b": 2 * 30 * 40 * 20,
        "one = sum(x * y)": 2 * N,
        "i_out = i + 1": 0,
    }
    for text, flops in counts.items():
        assert evaluate(parse(text), BUFFERS).flops == flops


def test_one_operation_is_known_by_its_name() -> None:
    cases = {
        "c = a @ b": ("matmul", ("a", "b")),
        "z = x + y": ("add", ("x", "y")),
        "z = 2 * x": ("multiply", (2, "x")),
        "z = np.exp(x)": ("exp", ("x",)),
        "one = x.sum()": ("sum", ("x",)),
        "z = where(m, x, y)": ("where", ("m", "x", "y")),
        "z = x > 0": ("greater", ("x", 0)),
        "z = -x": ("negative", ("x",)),
        "z = np.absolute(x)": ("abs", ("x",)),
        "z = 3 * x + y": None,
        "z = x.sum(axis=0)": None,
        "z = x": None,
        "c = a.T @ b": None,
    }
    for text, operation in cases.items():
        assert single_operation(parse(text)) == operation


def test_what_is_not_allowed_is_shown_with_a_caret() -> None:
    cases = [
        ("z = x if 1 else y", UnsupportedError, "not allowed here: IfExp", 4),
        ("z = 1 + __import__('os')", UnsupportedError, "no such function: __import__", 8),
        ("z = x.__class__", UnsupportedError, "no such attribute: __class__", 4),
        ("z = (lambda: 1)()", UnsupportedError, "no such function: of a value", 4),
        ("z = [1 for _ in x]", UnsupportedError, "not allowed here: ListComp", 4),
        ("z = f'{x}'", UnsupportedError, "not allowed here: JoinedStr", 4),
        ("z = x << 2", UnsupportedError, "LShift is not an allowed operator", 4),
        ("z = 0 < x < 1", UnsupportedError, "comparisons are of two values", 4),
        ("z = exp(x, y)", UnsupportedError, "exp takes values: 1", 4),
        ("z = sum(x, out=y)", UnsupportedError, "no such argument: out", 11),
        ("z = 'x'", UnsupportedError, "not a number: 'x'", 4),
        ("z = x[y]", UnsupportedError, "indices, axes and sizes are integers", 4),
        ("z = x +", UnsupportedError, "not an expression: invalid syntax", 7),
        ("import os", UnsupportedError, "not an assignment", 0),
        ("z += x", UnsupportedError, "not an assignment", 0),
        ("z = x + w", ShapeError, "no such buffer: w: there are x, y", 8),
        ("w = x", ShapeError, "no such buffer: w: there are x, y", 0),
        ("z = y + a", ShapeError, "shape mismatch", 4),
        ("z = a", ShapeError, r"the shapes differ: z is \(1000,\), the expression \(30, 40\)", 4),
        ("z = 1 + x[5000]", ShapeError, "out of bounds", 8),
        ("z = i + u", DtypeError, "dtypes do not mix: i32 and u32", 4),
        ("i_out = i ** -1", DtypeError, "integers to negative powers", 8),
        ("z = x @ 3", ShapeError, "@ takes arrays", 4),
    ]
    with each_reported() as case:
        for text, kind, message, column in cases:
            with case(text), pytest.raises(kind, match=f"^reference: .*{message}") as error:
                expected(text)
            assert str(error.value).splitlines()[1:3] == [f"  {text}", f"  {' ' * column}^"]


def test_a_refused_construct_says_what_is_allowed() -> None:
    with pytest.raises(UnsupportedError, match=r"\nallowed are numbers, buffers, .*exp.*sum"):
        parse("z = x or y")


def test_nothing_is_so_large_that_it_hangs() -> None:
    cases = [
        "z = " + "x + " * 1000 + "x",
        "z = " + "-" * 1000 + "x",
        "z = x[:, None, None] * x[:, None] * x",
        "z = 1" + "0" * 50 + " * x",
    ]
    with each_reported() as case:
        for text in cases:
            with case(text), pytest.raises((LimitError, UnsupportedError)):
                expected(text)
    assert np.isposinf(expected("z = 9 ** 9 ** 9 ** 9").reference).all()


def _trees() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["x", "y", "x[::-1]", "0.3", "2", "1.7"])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(pair, st.sampled_from("+-*/")).map(lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
            st.tuples(pair, st.sampled_from(["minimum", "maximum"])).map(
                lambda t: f"{t[1]}{t[0]}".replace("'", "")
            ),
            st.tuples(pair, pair).map(lambda t: f"where({t[0][0]} > {t[0][1]}, {t[1][0]}, {t[1][1]})"),
            st.tuples(inner, st.sampled_from(["tanh", "sin", "cos", "abs", "floor"])).map(
                lambda t: f"{t[1]}({t[0]})"
            ),
            inner.map(lambda t: f"exp(minimum({t}, 5))"),
            inner.map(lambda t: f"sqrt(abs({t}))"),
            inner.map(lambda t: f"log(1 + abs({t}))"),
            inner.map(lambda t: f"({t}) ** 2"),
            inner.map(lambda t: f"(abs({t}) + 0.5) ** 1.5"),
            inner.map(lambda t: f"(x + {t}).mean()"),
        )

    return st.recursive(leaves, larger, max_leaves=8)


@given(_trees())
def test_any_expression_computed_in_float32_is_within_its_bound(tree: str) -> None:
    text = f"z = x * 0 + {tree}"
    reference = expected(text)
    result = in_numpy(text)
    sure = np.isfinite(reference.reference) & np.isfinite(result)
    narrowed = Expected(reference.reference[sure], None if reference.bound is None else reference.bound[sure])
    assert narrowed.error(result[sure]) <= 1
