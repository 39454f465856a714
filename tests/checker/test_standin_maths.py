"""The functions of floats, of f32 and f16, scalars and vectors, compared with NumPy's in float64.

The stand-in calls the C library, whose results are two units in the last place off at most (the GNU C Library
manual, "Known Maximum Errors in Math Functions"). An f16 is computed as f32, and rounded once more.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, rng, shapes, ulps_of

F32, F16 = np.dtype(np.float32), np.dtype(np.float16)
LIBM = 2.0
ROUNDED = 0.5


def anything(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    """Numbers of all sizes; the corners first, in another order for each component."""
    limits = np.finfo(kind)
    special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, limits.max, -limits.max, limits.tiny]
    special += [
        limits.smallest_subnormal,
        -limits.smallest_subnormal,
        np.inf,
        -np.inf,
        np.nan,
        limits.eps / 4,
    ]
    random = rng(name)
    values = random.standard_normal(shape) * 10 ** random.uniform(-3, 3, shape)
    for column in values.reshape(ROWS, -1).T:
        column[: len(special)] = random.permutation(special)
    return values.astype(kind)


def unit(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    """From -1 to 1, both included."""
    values = rng(name).uniform(-1, 1, shape)
    values[:3] = np.array([-1, 0, 1]).reshape(3, *[1] * (len(shape) - 1))
    return values.astype(kind)


def above_one(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    return (1 + np.abs(unit(name, shape, kind)) * 50).astype(kind)


def fract(x: Numbers) -> Numbers:
    """Below one, even where x - floor(x) rounds to it."""
    kind = F16 if (x.astype(F16) == x)[~np.isnan(x)].all() else F32
    return np.minimum(x - np.floor(x), 1 - float(np.finfo(kind).epsneg))


Reference = Callable[..., Numbers]
FUNCTIONS: dict[str, tuple[Reference, float]] = {
    "abs(a)": (np.abs, 0),
    "acos(a)": (np.arccos, LIBM),
    "acosh(a)": (np.arccosh, LIBM),
    "asin(a)": (np.arcsin, LIBM),
    "asinh(a)": (np.arcsinh, LIBM),
    "atan(a)": (np.arctan, LIBM),
    "atanh(a)": (np.arctanh, LIBM),
    "atan2(a, b)": (np.arctan2, LIBM),
    "ceil(a)": (np.ceil, 0),
    "clamp(a, min(b, c), max(b, c))": (
        lambda a, b, c: np.fmin(np.fmax(a, np.fmin(b, c)), np.fmax(b, c)),
        0,
    ),
    "cos(a)": (np.cos, LIBM),
    "cosh(a)": (np.cosh, LIBM),
    "exp(a)": (np.exp, LIBM),
    "exp2(a)": (np.exp2, LIBM),
    "floor(a)": (np.floor, 0),
    "fma(a, b, c)": (lambda a, b, c: a * b + c, ROUNDED),
    "fract(a)": (fract, ROUNDED),
    "inverseSqrt(a)": (lambda a: 1 / np.sqrt(a), 1.5),
    "log(a)": (np.log, LIBM),
    "log2(a)": (np.log2, LIBM),
    "max(a, b)": (np.fmax, 0),
    "min(a, b)": (np.fmin, 0),
    "pow(a, b)": (np.power, LIBM),
    "round(a)": (np.rint, 0),
    "saturate(a)": (lambda a: np.fmin(np.fmax(a, 0), 1), 0),
    "sign(a)": (lambda a: np.where(np.isnan(a), 0, np.sign(a)), 0),
    "sin(a)": (np.sin, LIBM),
    "sinh(a)": (np.sinh, LIBM),
    "sqrt(a)": (np.sqrt, ROUNDED),
    "step(a, b)": (lambda a, b: np.where(b < a, 0.0, 1.0), 0),
    "tan(a)": (np.tan, LIBM),
    "tanh(a)": (np.tanh, LIBM),
    "trunc(a)": (np.trunc, 0),
    "a + b": (np.add, ROUNDED),
    "a - b": (np.subtract, ROUNDED),
    "a * b": (np.multiply, ROUNDED),
    "a / b": (np.divide, ROUNDED),
    "a % b": (np.fmod, 0),
    "-a": (np.negative, 0),
}
DOMAINS = {"acos(a)": unit, "asin(a)": unit, "atanh(a)": unit, "acosh(a)": above_one}
"""Where most numbers have no result."""


def function(wgsl: str, shape: tuple[int, ...], kind: np.dtype) -> Case:
    reference, ulps = FUNCTIONS[wgsl]
    name = f"{wgsl}-{kind.name}-{shape[1:]}"
    count = len(set(re.findall(r"\b[abc]\b", wgsl)))
    given = [DOMAINS.get(wgsl, anything)(f"{name}{i}", shape, kind) for i in range(count)]
    with np.errstate(all="ignore"):
        expected = np.asarray(reference(*(each.astype(np.float64) for each in given)), np.float64)
    if kind == F16 and ulps:
        ulps = ROUNDED + ulps * 2.0**-12
    return Case(name, wgsl, tuple(given), expected, kind, ulps * ulps_of(expected, kind))


SHEETS = [
    Sheet(tuple(function(wgsl, shape, kind) for wgsl in FUNCTIONS for shape in shapes(kind)))
    for kind in (F32, F16)
]
KERNELS = [sheet.wgsl for sheet in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_function_of_floats(sheet: Sheet) -> None:
    compare(sheet)
