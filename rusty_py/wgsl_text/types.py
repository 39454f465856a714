"""Sizes of WGSL types in buffers (WGSL specification, "Memory Layout"), and constant integers."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rusty_py.wgsl_text.declarations import Declarations, Words, parts_of
from rusty_py.wgsl_text.tokens import MAX_NESTED

_SCALARS = {"f32": 4, "i32": 4, "u32": 4, "bool": 4, "f16": 2, "f64": 8, "i64": 8, "u64": 8}
_SHORT = {"f": "f32", "h": "f16", "i": "i32", "u": "u32"}
_VECTOR, _MATRIX = re.compile(r"vec([234])([fhiu]?)"), re.compile(r"mat([234])x([234])([fh]?)")
_INTEGER = re.compile(r"(0[xX][\da-fA-F]+|\d+)[iu]?")


class TypeLayout(NamedTuple):
    """Bytes and alignment of a type. Of an array without a count, `size` is that of one element, its least.

    `scalar` is the type of all numbers in it, empty for structures; `stride` the bytes from one element of an
    array to the next, 0 for other types. `runtime` is True for arrays without a count.
    """

    size: int
    align: int
    scalar: str = ""
    stride: int = 0
    runtime: bool = False


def layout_of_type(
    kind: Sequence[str], module: Declarations, values: Mapping[str, int], *, depth: int = 0
) -> TypeLayout | None:
    """The layout of a type; None if it, or a number in it, is not understood."""
    if not kind or depth > MAX_NESTED:
        return None
    name, args = kind[0], parts_of(kind[2:-1])
    if name in module.aliases:
        return layout_of_type(module.aliases[name], module, values, depth=depth + 1)
    if name in module.structures:
        return _structure(name, module, values, depth + 1)
    if name in _SCALARS:
        return TypeLayout(_SCALARS[name], _SCALARS[name], name)
    if found := _VECTOR.fullmatch(name):
        return _vector(int(found[1]), _element(found[2], args, module))
    if found := _MATRIX.fullmatch(name):
        column = _vector(int(found[2]), _element(found[3], args, module))
        return column and _array(column, int(found[1]), stride=0)
    if name in ("array", "atomic") and args:
        element = layout_of_type(args[0], module, values, depth=depth + 1)
        if element is None or name == "atomic":
            return element
        if len(args) == 1:
            return _array(element, 1)._replace(runtime=True)
        count = constant(args[1], values)
        return None if count is None else _array(element, count)
    return None


class Constants(dict[str, int]):
    """The integers among the module's constants and overrides, evaluated when they are looked up.

    `given` are the values of overrides. Other names and other values are a KeyError.
    """

    def __init__(self, module: Declarations, given: Mapping[str, int]) -> None:
        super().__init__(given)
        overrides = {name: each.default for name, each in module.overrides.items()}
        self._left = {**module.constants, **overrides}

    def __missing__(self, name: str) -> int:
        # Each is tried once, so that a cycle ends.
        value = constant(self._left.pop(name), self)
        if value is None:
            raise KeyError(name)
        return self.setdefault(name, value)


def constant(words: Sequence[str], values: Mapping[str, int]) -> int | None:
    """The value of an integer expression of + - * / % and parentheses; None if it is anything else."""
    left = list(reversed(words))
    try:
        value = _sum(left, values)
    except (ValueError, IndexError, KeyError, ZeroDivisionError, RecursionError):
        return None
    return None if left else value


def _sum(left: list[str], values: Mapping[str, int]) -> int:
    value = _product(left, values)
    while left and left[-1] in ("+", "-"):
        sign = 1 if left.pop() == "+" else -1
        value += sign * _product(left, values)
    return value


def _product(left: list[str], values: Mapping[str, int]) -> int:
    value = _unit(left, values)
    while left and left[-1] in ("*", "/", "%"):
        sign, other = left.pop(), _unit(left, values)
        # WGSL's quotients are truncated.
        quotient = abs(value) // abs(other) * (1 if (value < 0) == (other < 0) else -1) if sign != "*" else 0
        value = value * other if sign == "*" else quotient if sign == "/" else value - other * quotient
    return value


def _unit(left: list[str], values: Mapping[str, int]) -> int:
    word = left.pop()
    if word == "-":
        return -_unit(left, values)
    if word in ("u32", "i32") and left[-1] == "(":
        return _unit(left, values)
    if word == "(":
        value = _sum(left, values)
        if left.pop() != ")":
            raise ValueError
        return value
    found = _INTEGER.fullmatch(word)
    return int(found[1], 0) if found else values[word]


def _element(short: str, args: Sequence[Words], module: Declarations) -> str:
    """The scalar of a vector or matrix; empty if it is not understood."""
    name = _SHORT.get(short, "") or (args[0][0] if args else "")
    for _ in range(MAX_NESTED):
        if name not in module.aliases:
            return name
        name = module.aliases[name][0]
    return ""


def _vector(count: int, scalar: str) -> TypeLayout | None:
    size = _SCALARS.get(scalar)
    return TypeLayout(count * size, (2 if count == 2 else 4) * size, scalar) if size else None


def _array(element: TypeLayout, count: int, *, stride: int | None = None) -> TypeLayout:
    step = _rounded(element.size, element.align)
    return TypeLayout(count * step, element.align, element.scalar, step if stride is None else stride)


def _structure(name: str, module: Declarations, values: Mapping[str, int], depth: int) -> TypeLayout | None:
    end, align, runtime = 0, 1, False
    for member in module.structures[name]:
        found = layout_of_type(member.kind, module, values, depth=depth)
        if found is None:
            return None
        own_align = constant(member.align, values) if member.align else found.align
        size = constant(member.size, values) if member.size else found.size
        if own_align is None or size is None or own_align < 1:
            return None
        end = _rounded(end, own_align) + size
        align, runtime = max(align, own_align), runtime or found.runtime
    return TypeLayout(_rounded(end, align), align, runtime=runtime)


def _rounded(size: int, align: int) -> int:
    return -(-size // align) * align
