"""Python numbers while a function is traced: arithmetic is remembered, and done again at each call.

So a call with other numbers needs no other trace. Where more is asked of a number than arithmetic, such as a
comparison, `int` or a hash, the trace depends on its value, and the number counts as static from there on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rusty_py import dtypes
from rusty_py.dtypes import F32, MAX_F32, Dtype, Scalar, f32_word

Numbers = tuple[Scalar, ...]
"""The numbers of a call, in order."""


@dataclass(eq=False, slots=True)
class Scope:
    """The numbers of the call that is traced, and the positions of those whose values the trace needs."""

    numbers: Numbers = ()
    static: set[int] = field(default_factory=set)


class TracedNumber:
    """A number that depends on those at `positions` of a call.

    It passes for a Python number: `isinstance` and arithmetic with numbers and arrays work. `key` is equal
    for equal expressions.
    """

    __slots__ = ("evaluate", "key", "positions", "scope")

    def __init__(
        self,
        scope: Scope,
        key: object,
        evaluate: Callable[[Numbers], Any],
        positions: frozenset[int],
    ) -> None:
        self.scope, self.key, self.evaluate, self.positions = scope, key, evaluate, positions

    @property
    def value(self) -> Any:
        """The value in the call that is traced."""
        return self.evaluate(self.scope.numbers)

    @property  # type: ignore[misc]  # As isinstance asks for it.
    def __class__(self) -> type:
        return type(self.value)

    def word(self, dtype: Dtype, *, operation: str) -> Word:
        """Its word beside an array of `dtype`. Raises DtypeError as `dtypes.scalar_word`."""
        word = Word(self, dtype, operation)
        word.evaluate(self.scope.numbers)
        return word

    def fixed(self) -> Any:
        """The value, on which the trace depends from here on."""
        self.scope.static |= self.positions
        return self.value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fixed(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.asarray(self.fixed(), dtype=dtype)


class Word:
    """The word that a number has beside an array of `dtype`: `evaluate` gives it for each call's numbers.

    `evaluate` raises DtypeError where the number does not fit.
    """

    __slots__ = ("dtype", "evaluate", "key", "positions", "scope")

    def __init__(self, number: TracedNumber, dtype: Dtype, operation: str) -> None:
        self.dtype, self.scope, self.positions = dtype, number.scope, number.positions
        self.key = (number.key, dtype.name)
        value_of = number.evaluate

        def evaluate(numbers: Numbers) -> int:
            value = value_of(numbers)
            if dtype is F32 and type(value) is float and -MAX_F32 <= value <= MAX_F32:
                return f32_word(value)
            return dtypes.scalar_word(value, dtype, operation=operation)

        self.evaluate = evaluate


def argument(scope: Scope, position: int) -> TracedNumber:
    """The number at `position` of a call."""
    return TracedNumber(scope, position, operator.itemgetter(position), frozenset((position,)))


def of_word(scope: Scope, position: int, dtype: Dtype) -> TracedNumber:
    """The number that the word at `position` of a call means beside an array of `dtype`."""

    def evaluate(words: Numbers) -> Scalar:
        return dtypes.number_of_word(int(words[position]), dtype)

    return TracedNumber(scope, ("word", position), evaluate, frozenset((position,)))


def plain(value: Any) -> Any:
    """`value` with the values of the traced numbers in it."""
    if type(value) is TracedNumber:
        return value.fixed()
    if type(value) is tuple:
        return tuple(map(plain, value))
    return value


def _unary(name: str) -> Callable[[TracedNumber], TracedNumber]:
    function = getattr(operator, name)

    def method(self: TracedNumber) -> TracedNumber:
        inner = self.evaluate
        return TracedNumber(
            self.scope, (name, self.key), lambda numbers: function(inner(numbers)), self.positions
        )

    return method


def _binary(name: str, *, reflected: bool = False) -> Callable[[TracedNumber, Any], Any]:
    function = getattr(operator, name)

    def method(self: TracedNumber, other: Any) -> Any:
        if type(other) not in (TracedNumber, int, float, bool):
            return NotImplemented
        a, b = (other, self) if reflected else (self, other)
        (first, first_key, of_first), (second, second_key, of_second) = map(_parts, (a, b))
        if name == "pow" and not (isinstance(a, float) and isinstance(b, int)):
            return function(plain(a), plain(b))  # Its type depends on the values.
        return TracedNumber(
            self.scope,
            (name, first_key, second_key),
            lambda numbers: function(first(numbers), second(numbers)),
            of_first | of_second,
        )

    return method


def _parts(number: Any) -> tuple[Callable[[Numbers], Any], object, frozenset[int]]:
    if type(number) is TracedNumber:
        return number.evaluate, number.key, number.positions
    return lambda _: number, (type(number), repr(number)), frozenset()


def _fixing(name: str) -> Callable[..., Any]:
    def method(self: TracedNumber, *args: Any) -> Any:
        return getattr(self.fixed(), name)(*map(plain, args))

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(TracedNumber, f"__{_name}__", _binary(_name))
    setattr(TracedNumber, f"__r{_name}__", _binary(_name, reflected=True))
for _name in ("neg", "pos", "abs"):
    setattr(TracedNumber, f"__{_name}__", _unary(_name))
_FIXING = """bool int float complex index hash eq ne lt le gt ge round trunc floor ceil divmod rdivmod
    and rand or ror xor rxor lshift rlshift rshift rrshift invert repr str format"""
for _name in _FIXING.split():
    setattr(TracedNumber, f"__{_name}__", _fixing(f"__{_name}__"))
