"""Writes a WGSL text's overrides as constants, which is how naga translates them to Metal's language."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rusty_py.errors import DtypeError, ShaderError
from rusty_py.wgsl_text.tokens import Token, tokens


def bake(wgsl: str, constants: Mapping[str, int | float | bool]) -> str:
    """`wgsl` with its overrides as constants, on the lines they were: `constants`, else their defaults.

    The keys of `constants` are WebGPU's: the number of an override's @id, the name where it has none.
    Raises ShaderError for a constant that the text does not declare, and for an override without a value;
    DtypeError for a value that is none of the override's type.
    """
    given = {str(key): value for key, value in constants.items()}
    overrides = list(_overrides(wgsl))
    _refuse_unknown(given, overrides)
    parts, at = [], 0
    for each in overrides:
        kind = each.kind or _kind_of(each.default)
        value = _literal(each.key, given[each.key], kind) if each.key in given else each.default
        if not value:
            raise ShaderError(f"check: an override without a value: {each.name}: {_way_to_give(each.key)}")
        declared = f": {kind}" if kind else ""
        parts += [wgsl[at : each.start], f"const {each.name}{declared} = {value};"]
        # Statements keep their lines.
        parts.append("\n" * wgsl.count("\n", each.start, each.end))
        at = each.end
    return "".join([*parts, wgsl[at:]])


class _Override(NamedTuple):
    """A declaration from `start` to `end` of the text; no type or default where it gives none.

    `key` is WebGPU's "pipeline-overridable constant identifier string".
    """

    start: int
    end: int
    key: str
    name: str
    kind: str
    default: str


def _refuse_unknown(given: Mapping[str, object], overrides: Sequence[_Override]) -> None:
    """Raises ShaderError for keys that no override has."""
    keys = {each.key for each in overrides}
    for each in overrides:
        if each.name in given.keys() - keys:
            raise ShaderError(
                f"check: the key of an override with @id is that number: {each.name} has {each.key}:"
                f" {_way_to_give(each.key)}"
            )
    if unknown := sorted(given.keys() - keys):
        has = ", ".join(sorted(keys)) or "none"
        raise ShaderError(f"check: the text declares no such override: {', '.join(unknown)}: it has {has}")


def _way_to_give(key: str) -> str:
    return f"give it by constants={{{key!r}: ...}} or --constant {key}=..."


def _overrides(wgsl: str) -> Iterator[_Override]:
    words = tokens(wgsl)
    texts = [word.text for word in words]
    for i in [i for i, text in enumerate(texts) if text == "override"]:
        try:
            end = texts.index(";", i)
        except ValueError:
            return
        head = texts.index("=", i, end) if "=" in texts[i:end] else end
        if head < i + 2 or (head > i + 2 and texts[i + 2] != ":"):
            continue  # No declaration; naga says why.
        start = _attribute(texts, i)
        name, kind, default = texts[i + 1], _spelled(words[i + 3 : head]), _spelled(words[head + 1 : end])
        key = _number(name, texts[start + 3 : i - 1]) if start < i else name
        yield _Override(words[start].start, words[end].end, key, name, kind, default)


def _attribute(texts: list[str], i: int) -> int:
    """Where the declaration whose word is i begins: with its @id, if it has one."""
    start = i - 1
    while start > 0 and texts[start] not in "@;}":
        start -= 1
    return start if start >= 0 and texts[start : start + 2] == ["@", "id"] else i


def _number(name: str, words: list[str]) -> str:
    """The decimal number that the words in the parentheses of an @id say. Raises ShaderError."""
    text = "".join(words).removesuffix(",")
    found = re.fullmatch(r"(?:0[xX]([\da-fA-F]+)|(\d+))[iu]?", text)
    if not found:
        raise ShaderError(f"check: the @id of {name} is not a number: {text!r}: write it in digits")
    return str(int(found[1], 16) if found[1] else int(found[2]))


def _spelled(words: Sequence[Token]) -> str:
    """Without comments and line breaks."""
    at = words[0].start if words else 0
    parts = []
    for word in words:
        parts += [" " * (word.start > at), word.text]
        at = word.end
    return "".join(parts)


_INTEGER = re.compile(r"-? *(?:0[xX][\da-fA-F]+|\d+)([iu]?)")
_FLOAT = re.compile(r"-? *(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xX][\da-fA-F.]+[pP][+-]?\d+)([fh]?)")
_CALL = re.compile(r"(u32|i32|f32|f16|bool) *\([^()]*\)")


def _kind_of(default: str) -> str:
    """The type that an override takes from its default, where that is a number or a call; else none."""
    if default in ("true", "false"):
        return "bool"
    if found := _INTEGER.fullmatch(default):
        return "u32" if found[1] == "u" else "i32"
    if found := _FLOAT.fullmatch(default):
        return "f16" if found[1] == "h" else "f32"
    found = _CALL.fullmatch(default)
    return found[1] if found else ""


_LIMITS = {
    "bool": (0, 1),
    "i32": (-(1 << 31), (1 << 31) - 1),
    "u32": (0, (1 << 32) - 1),
    "f32": (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)),
    "f16": (float(np.finfo(np.float16).min), float(np.finfo(np.float16).max)),
}


def _literal(name: str, given: int | float | bool, kind: str) -> str:
    """The number as WGSL writes it. Raises DtypeError where it is none of the type."""
    value = given.item() if isinstance(given, np.generic) else given
    minimum, limit = _LIMITS.get(kind, (-float("inf"), float("inf")))
    fits = isinstance(value, int | float) and value - value == 0 and minimum <= value <= limit
    fits = fits and (kind not in ("bool", "i32", "u32") or value == int(value))
    if not fits:
        raise DtypeError(f"check: constant {name}: no {kind or 'finite number'}: {given!r}")
    if kind == "bool" or (not kind and isinstance(value, bool)):
        return "true" if value else "false"
    if kind:
        return repr(float(value) if kind.startswith("f") else int(value))
    return repr(value)
