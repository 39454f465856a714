"""Functions over the whole range of their operands, against float64: errors and special values."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import rusty_py as rp
from rusty_py import Device
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.all import ROWS
from rusty_py.ops.row import Row
from rusty_py.oracle import Expected
from rusty_py.samples import Sample

from ..each import each_reported
from .operands import needs, on

pytestmark = pytest.mark.one_mode
Floats = NDArray[np.floating]

MAX_ERROR = 4e-6
UNARY = [
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10"),
    *("sqrt", "rsqrt", "cbrt", "reciprocal"),
    *("sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc"),
]
BINARY = ["pow", "hypot", "atan2", "logaddexp"]
SCIPY: dict[str, Callable[..., Floats]] = {"erf": special.erf, "erfc": special.erfc}
SPECIAL = [0.0, 2.0**-126, 0.5, 1.0, 1.5, 2.0, 3.0, 100.0, 3.4028235e38, np.inf]


def patterns(count: int, *, seed: int = 0) -> Floats:
    """Numbers of every size: one of each of `count` equal ranges of bit patterns, of both signs, NaN too."""
    step = 2**32 // count
    offsets = np.random.default_rng(seed).integers(0, step, count)
    return (
        (np.arange(count, dtype=np.uint64) * np.uint64(step) + offsets.astype(np.uint64))
        .astype(np.uint32)
        .view(np.float32)
    )


def dense(count: int) -> Floats:
    """Numbers around zeros and ends of the functions: near 0, near 1 and -1, and multiples of pi / 2."""
    steps = np.linspace(-1, 1, count) ** 5
    turns = (np.arange(1, count) * (np.pi / 2)).astype(np.float32)
    around = [np.nextafter(turns, np.float32(end)) for end in (0, np.inf)]
    near = [np.float32(12) * steps, 1 + steps, -1 + steps, np.exp2(-149 * np.abs(steps)), turns, *around]
    return np.concatenate(near).astype(np.float32)


def assert_accurate(name: str, result: Floats, operands: tuple[Floats, ...], kind: Dtype) -> None:
    """Within the bound of its record for the operands, or for zeros in place of the subnormal ones."""
    errors = errors_of(name, result, operands, kind)
    tiny = np.finfo(kind.numpy).tiny
    some = np.any([np.abs(x) < tiny for x in operands], axis=0)
    flushed = tuple(np.where(np.abs(x) < tiny, np.copysign(kind.numpy.type(0), x), x)[some] for x in operands)
    errors[some] = np.minimum(errors[some], errors_of(name, result[some], flushed, kind))
    worst = int(np.argmax(errors))
    given = [x.flat[worst] for x in operands]
    assert errors.flat[worst] <= 1, (
        f"{name} of {given} is {result.flat[worst]!r}, {errors.flat[worst]} bounds off"
    )


def errors_of(name: str, result: Floats, operands: tuple[Floats, ...], kind: Dtype) -> Floats:
    """As fractions of bounds; a result may be infinite where the reference is beyond the dtype's range."""
    with np.errstate(all="ignore"):
        expected = ROWS[name].expected(Sample(name, operands))
        reference = expected.reference
        if name in SCIPY:
            reference = SCIPY[name](*(x.astype(np.float64) for x in operands))
        beyond = np.abs(reference) >= np.float64(np.finfo(kind.numpy).max) * (1 - kind.eps)
        reference = np.where(
            beyond & np.isinf(result) & (np.sign(result) == np.sign(reference)), result, reference
        )
    return Expected(reference, expected.bound).errors(result)


def assert_within_range(device: Device, count: int) -> None:
    x = np.concatenate([patterns(count), dense(min(count, 1 << 17) // 2)])
    y = np.random.default_rng(1).permutation(x)
    array, other = on(device, x), on(device, y)
    near, exponent = np.exp2(x.clip(-60, 60)), x.clip(-40, 40)
    with each_reported() as case:
        for name in UNARY:
            with case(name):
                assert_accurate(name, apply(OPERATIONS[name], array).numpy(), (x,), F32)
        for name in BINARY:
            with case(name):
                assert_accurate(name, apply(OPERATIONS[name], array, other).numpy(), (x, y), F32)
        with case("pow near 1"):
            result = apply(OPERATIONS["pow"], on(device, near), on(device, exponent)).numpy()
            assert_accurate("pow", result, (near, exponent), F32)


def test_errors_are_within_bounds_over_the_whole_range(unchecked: Device) -> None:
    assert_within_range(unchecked, 1 << 18)


@pytest.mark.slow
def test_errors_are_within_bounds_at_many_millions_of_numbers(unchecked: Device) -> None:
    assert_within_range(unchecked, 1 << 24)


def test_bounds_of_records_are_at_most_four_millionths() -> None:
    for name in UNARY:
        ulps = ROWS[name].ulps
        assert isinstance(ulps, float | int), name
        assert ulps * F32.eps <= MAX_ERROR, name


def test_every_number_of_f16_is_rounded_once(unchecked: Device) -> None:
    needs(unchecked, F16)
    x = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    y = np.random.default_rng(1).permutation(x)
    array, other = on(unchecked, x), on(unchecked, y)
    with each_reported() as case:
        for name in UNARY:
            with case(name):
                assert_accurate(name, apply(OPERATIONS[name], array).numpy(), (x,), F16)
        for name in BINARY:
            with case(name):
                assert_accurate(name, apply(OPERATIONS[name], array, other).numpy(), (x, y), F16)


@pytest.mark.parametrize("kind", [F32, F16], ids=str)
def test_special_values_are_those_of_numpy(device: Device, kind: Dtype) -> None:
    """NaN, infinities, zeros with their signs, and numbers outside the domain."""
    needs(device, kind)
    with np.errstate(over="ignore"):
        numbers = np.array([np.nan, *SPECIAL, *(-each for each in SPECIAL)]).astype(kind.numpy)
    x, y = (each.ravel() for each in np.meshgrid(numbers, numbers))
    with each_reported() as case, np.errstate(all="ignore"):
        for name in UNARY + BINARY:
            operands = (numbers,) if name in UNARY else (x, y)
            exact = ROWS[name].on_host(*(each.astype(np.float64) for each in operands))
            result = apply(OPERATIONS[name], *(on(device, each) for each in operands)).numpy()
            reference = exact.astype(kind.numpy)
            special = ~np.isfinite(reference) | (reference == 0)
            with case(name):
                np.testing.assert_array_equal(result[special], reference[special])
                signs = special & ~np.isnan(reference)
                np.testing.assert_array_equal(np.signbit(result[signs]), np.signbit(reference[signs]))


def second_derivative(row: Row, x: Floats) -> Floats:
    h = 1e-4
    return (row.on_host(x + h) - 2 * row.on_host(x) + row.on_host(x - h)) / h**2


def test_gradients_have_gradients(unchecked: Device) -> None:
    with each_reported() as case:
        for name in [*UNARY, "square"]:
            with case(name):
                row = ROWS[name]
                (x,) = row.differentiable(F32, (6, 10), seed=0)
                function = OPERATIONS[name].function
                assert function is not None
                twice = rp.grad(lambda x, f=function: rp.grad(lambda x: f(x).sum())(x).sum())
                expected = second_derivative(row, x.astype(np.float64))
                result = twice(on(unchecked, x)).numpy()
                np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_gradients_where_a_formula_has_no_value(unchecked: Device) -> None:
    """Zero where the function is constant along the operand, or has a kink."""

    def gradients(name: str, x: Any, y: Any) -> list[list[float]]:
        function = OPERATIONS[name].function
        assert function is not None
        both = rp.grad(lambda x, y: function(x, y).sum(), (0, 1))
        return [
            each.numpy().tolist() for each in both(on(unchecked, np.float32(x)), on(unchecked, np.float32(y)))
        ]

    assert gradients("hypot", [0, 3], [0, 4]) == [[0, pytest.approx(0.6)], [0, pytest.approx(0.8)]]
    assert gradients("atan2", [0], [0]) == [[0], [0]]
    assert gradients("pow", [0, 0, 2, -2], [0, 2, 0, 2]) == [
        [0, 0, 0, -4],
        [0, 0, pytest.approx(np.log(2)), 0],
    ]
    assert gradients("pow", [0, 0, 2, -2], 2) == [[0, 0, 4, -4], pytest.approx(4 * np.log(2))]
    x = on(unchecked, np.array([0.0, 2.0, -2.0], np.float32))
    assert rp.grad(lambda x: (x**0).sum())(x).tolist() == [0, 0, 0]
    assert rp.grad(lambda x: (x**2).sum())(x).tolist() == [0, 4, -4]
    assert rp.grad(lambda x: (0.0**x).sum())(x).tolist() == [0, 0, 0]


def test_the_documented_errors_are_those_of_the_records() -> None:
    text = (Path(__file__).parents[2] / "docs" / "elementwise.md").read_text(encoding="utf-8")
    documented: dict[str, float] = {}
    for functions, error in re.findall(r"(?m)^\| (.*?) \| ([\d.]+) \|", text.partition("## Gradients")[0]):
        documented |= dict.fromkeys(re.findall(r"`(\w+)`(?!\))", functions), float(error))
    assert documented == {name: ROWS[name].ulps for name in [*UNARY, "hypot", "atan2", "square"]}
