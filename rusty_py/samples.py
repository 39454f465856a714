"""Operands to try operations with: values of a dtype, and what single operations are defined for."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.dtypes import ELEMENTS, F16, Dtype

KINDS = tuple(ELEMENTS.values())

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Sample:
    """Operands and options of one application."""

    name: str
    operands: tuple[Values, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def needs_f16(self) -> bool:
        """Whether it is for devices that compute in f16 alone."""
        dtypes = {each.dtype for each in self.operands}
        return F16.numpy in dtypes or self.options.get("dtype") is F16


def values(kind: Dtype, *shape: int, seed: int = 0) -> Values:
    """Random numbers of a dtype: floats of both signs away from 0, integers up to their ends, bools."""
    rng = np.random.default_rng(seed)
    if kind.kind == "f":
        sizes: Values = 0.1 + rng.random(shape) * 3
        signed: Values = sizes * rng.choice([-1, 1], shape)
        return signed.astype(kind.numpy)
    if kind.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    info = np.iinfo(kind.name.replace("i", "int").replace("u", "uint"))
    small = rng.integers(max(info.min, -5), 5, shape, endpoint=True)
    large = rng.integers(info.min, info.max, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.5, small, large).astype(kind.numpy)


def ordinary(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands of which some are equal."""
    first, *others = (values(kind, *shape, seed=seed + i) for i in range(1, arity + 1))
    for each in others:
        each[1] = first[1]
    return first, *others


def with_specials(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Floats with NaN, infinities and zeros of both signs among them, in every combination of two."""
    given = ordinary(kind, arity, *shape, seed=seed)
    if kind.kind == "f":
        special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]
        first, second = np.meshgrid(special, special)
        for x, chosen in zip(given, (first, second), strict=False):
            x.reshape(-1)[: chosen.size] = chosen.reshape(-1)[: x.size]
    return given


def powers(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Bases and exponents; a negative base has whole exponents only."""
    x, y = ordinary(kind, arity, *shape, seed=seed)
    return (x, np.where(x < 0, np.rint(y), y).astype(kind.numpy)) if kind.kind == "f" else (x, y)


def between_integers(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Numbers that are a fifth or more away from integers and from the middle between two."""
    rng = np.random.default_rng(seed)
    parts = rng.uniform(0.2, 0.3, (arity, *shape)) + rng.choice([0, 0.5], (arity, *shape))
    numbers: Values = (rng.integers(-4, 4, (arity, *shape)) + parts).astype(kind.numpy)
    return tuple(numbers)


def with_remainder(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Dividends and divisors whose quotients are between integers."""
    assert arity == 2
    (quotients,) = between_integers(kind, 1, *shape, seed=seed)
    divisors = values(kind, *shape, seed=seed + 1)
    return (quotients * divisors).astype(kind.numpy), divisors


def shifts(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Integers, and by how much to shift them: mostly by less than 32, sometimes by anything."""
    x, y = ordinary(kind, arity, *shape, seed=seed)
    return x, np.where(y % 4 > 0, y & 31, y).astype(kind.numpy)


def apart(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Floats of which those at the same place differ by a tenth or more, in any order."""
    rng = np.random.default_rng(seed)
    steps = rng.permuted(np.broadcast_to(np.arange(arity)[:, None], (arity, int(np.prod(shape)))), axis=0)
    numbers: Values = steps.reshape(arity, *shape) + rng.uniform(-0.45, 0.45, (arity, *shape)) - 1
    return tuple(numbers.astype(kind.numpy))


def positive(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands above 0."""
    return tuple(np.abs(each) for each in ordinary(kind, arity, *shape, seed=seed))


def below_one(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands between -0.8 and 0.8."""
    return tuple(each / kind.numpy.type(4) for each in ordinary(kind, arity, *shape, seed=seed))


def above_one(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands above 1."""
    return tuple(each + kind.numpy.type(1) for each in positive(kind, arity, *shape, seed=seed))


def factors(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands whose products stay in range: floats near 1 and -1."""
    if kind.kind != "f":
        return ordinary(kind, arity, *shape, seed=seed)
    rng = np.random.default_rng(seed)
    signs = [rng.choice([-1, 1], shape) for _ in range(arity)]
    return tuple((each * (0.9 + 0.2 * rng.random(shape))).astype(kind.numpy) for each in signs)


def with_zeros(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Operands with a zero in every row, and in every second column."""
    given = ordinary(kind, arity, *shape, seed=seed)
    for each in given:
        each[each == 0] = 1
        rows = each.reshape(len(each), -1)
        rows[np.arange(len(rows)), np.arange(len(rows)) * 2 % rows.shape[1]] = 0
    return given


def mostly_zeros(kind: Dtype, arity: int, *shape: int, seed: int = 0) -> tuple[Values, ...]:
    """Zeros, of both signs, with another number in every second row; some are NaN."""
    given = tuple(np.zeros(shape, kind.numpy) for _ in range(arity))
    for each in given:
        each[::2, ..., -1] = 1
        if kind.kind == "f":
            each[..., 0] = -0.0
            each[:1, ..., -1] = np.nan
    return given
