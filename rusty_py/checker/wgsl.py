"""Reads WGSL as far as the checker needs: its words, its statements, and the overrides it declares.

naga reads it for good. What this finds is proved by what naga makes of it: see `translate`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rusty_py.errors import DtypeError, LimitError, ShaderError

MOST_CHARACTERS = 1 << 20
MOST_NESTED = 200
MOST_NESTED_BLOCKS = 120
"""naga takes a few more. An `else if` is one deeper than its `if`."""

MARK = "checker_mark"
"""The function whose calls mark statements."""

# Comments end where WGSL's lines do, and marks of direction are blanks.
_TOKEN = re.compile(
    r"[\s\u200e\u200f]+|//[^\n\v\f\r\x85\u2028\u2029]*|(?P<word>[^\W\d]\w*|\d[\w.]*|\.\d[\w.]*|[^\w\s])"
)
_OPEN, _CLOSE = "([{", ")]}"


class Token(NamedTuple):
    """A word or a sign, and where it begins."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Statement:
    """A statement without the blocks it holds: from offset `start` to `end` of the text."""

    start: int
    end: int


def check_size(wgsl: str) -> None:
    """Raises LimitError for texts so large or so deeply nested that compilers give up on them."""
    if len(wgsl) > MOST_CHARACTERS:
        raise LimitError(f"check: the text is too long: {len(wgsl)} > {MOST_CHARACTERS} characters")
    depth = 0
    for token in tokens(wgsl):
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth > MOST_NESTED:
            raise LimitError(f"check: brackets are nested deeper than {MOST_NESTED}: {_line_of(wgsl, token)}")


def bake(wgsl: str, constants: Mapping[str, int | float | bool]) -> str:
    """`wgsl` with its overrides as constants, on the lines they were: `constants`, else their defaults.

    Raises ShaderError for a constant that the text does not declare, and for an override without a value;
    DtypeError for a value that is none of the override's type.
    """
    left = dict(constants)
    parts, at = [], 0
    for each in _overrides(wgsl):
        kind = each.kind or _kind_of(each.default)
        value = _literal(each.name, left.pop(each.name), kind) if each.name in left else each.default
        if not value:
            ways = f"constants={{{each.name!r}: ...}} or --constant {each.name}=..."
            raise ShaderError(f"check: an override without a value: {each.name}: give it by {ways}")
        declared = f": {kind}" if kind else ""
        parts += [wgsl[at : each.start], f"const {each.name}{declared} = {value};"]
        # Statements keep their lines.
        parts.append("\n" * wgsl.count("\n", each.start, each.end))
        at = each.end
    if left:
        raise ShaderError(f"check: the text declares no such override: {', '.join(sorted(map(str, left)))}")
    return "".join([*parts, wgsl[at:]])


def mark(wgsl: str) -> tuple[str, list[Statement]]:
    """`wgsl` with a call before each statement that says which one, and the statements.

    An `else if` gets braces, to have a place for its own. Nothing else is changed.
    """
    marker = _Marker(wgsl)
    if any(token.text == MARK for token in marker.tokens):
        raise ShaderError(f"check: a name of the checker's own: {MARK}: rename it")
    return marker.marked(), marker.statements


def names(wgsl: str) -> list[str]:
    """The variables of the module, in the order of the text."""
    depth, found, words = 0, [], tokens(wgsl)
    for token in words:
        depth += (token.text in "{") - (token.text in "}")
        if depth == 0 and token.text == "var":
            name = next(words, None)
            if name and name.text == "<":
                next((word for word in words if word.text == ">"), None)
                name = next(words, None)
            found += [name.text] if name else []
    return found


def entry_points(wgsl: str) -> list[str]:
    """The compute entry points, in the order of the text."""
    found, words, is_entry = [], list(tokens(wgsl)), False
    for before, token, after in zip(words, words[1:], words[2:], strict=False):
        if (before.text, token.text) == ("@", "compute"):
            is_entry = True
        elif token.text == "fn":
            if is_entry:
                found.append(after.text)
            is_entry = False
    return found


class _Marker:
    """Walks through the statements of all functions, and collects what to insert where."""

    def __init__(self, wgsl: str) -> None:
        self.wgsl = wgsl
        self.statements: list[Statement] = []
        self.tokens = list(tokens(wgsl))
        self.inserted: list[tuple[int, str]] = []
        self.depth = 0
        i = 0
        while i < len(self.tokens):
            i = self._function(i) if self.tokens[i].text == "fn" else i + 1

    def marked(self) -> str:
        parts, at = [], 0
        for offset, text in self.inserted:
            parts += [self.wgsl[at:offset], text]
            at = offset
        return "".join([*parts, self.wgsl[at:], f"\nfn {MARK}(statement: u32) {{}}\n"])

    def _function(self, i: int) -> int:
        return self._block(self._find(i, "{"))

    def _block(self, i: int) -> int:
        """Behind the block whose brace is token i."""
        i += 1
        while self._text(i) != "}":
            i = self._statement(i)
        return i + 1

    def _statement(self, i: int) -> int:
        self.depth += 1
        if self.depth > MOST_NESTED_BLOCKS:
            place = _line_of(self.wgsl, self.tokens[i])
            raise LimitError(f"check: statements are nested deeper than {MOST_NESTED_BLOCKS}: {place}")
        end = self._marked_statement(i)
        self.depth -= 1
        return end

    def _marked_statement(self, i: int) -> int:
        text = self._text(i)
        if text == ";":
            return i + 1
        if text == "{":
            return self._block(i)
        if text == "continuing":
            return self._block(self._find(i, "{"))
        first = i
        while text == "@":  # @diagnostic(...)
            i = self._closing(i + 2) + 1 if self._text(i + 2) == "(" else i + 2
            text = self._text(i)
        if text in ("if", "switch", "loop", "for", "while"):
            brace = self._find(i, "{")
            self._mark(first, self.tokens[brace - 1].end)
            if text == "switch":
                return self._cases(brace)
            end = self._block(brace)
            return self._otherwise(end) if text == "if" else end
        end = self._find(i, ";")
        self._mark(first, self.tokens[end].end)
        return end + 1

    def _otherwise(self, i: int) -> int:
        if self._text(i) != "else":
            return i
        if self._text(i + 1) != "if":
            return self._block(i + 1)
        self.inserted.append((self.tokens[i + 1].start, "{ "))
        end = self._statement(i + 1)
        self.inserted.append((self.tokens[end - 1].end, " }"))
        return end

    def _cases(self, i: int) -> int:
        i += 1
        while self._text(i) != "}":
            i = self._block(self._find(i, "{"))
        return i + 1

    def _mark(self, i: int, end: int) -> None:
        start = self.tokens[i].start
        self.inserted.append((start, f"{MARK}({len(self.statements)}u); "))
        self.statements.append(Statement(start, end))

    def _find(self, i: int, wanted: str) -> int:
        """The first token `wanted` from i on that is in no parentheses."""
        while self._text(i) != wanted:
            i = self._closing(i) + 1 if self._text(i) in ("(", "[") else i + 1
        return i

    def _closing(self, i: int) -> int:
        depth = 0
        while True:
            depth += (self._text(i) in _OPEN) - (self._text(i) in _CLOSE)
            if depth == 0:
                return i
            i += 1

    def _text(self, i: int) -> str:
        if i >= len(self.tokens):
            raise ShaderError("check: the text ends within a function")
        return self.tokens[i].text


def tokens(wgsl: str) -> Iterator[Token]:
    """Its words and signs, without comments."""
    at = 0
    while at < len(wgsl):
        if wgsl.startswith("/*", at):
            at = _comment_end(wgsl, at)
            continue
        found = _TOKEN.match(wgsl, at)
        assert found is not None  # The pattern takes any character.
        if found["word"]:
            yield Token(found["word"], at)
        at = found.end()


def _comment_end(wgsl: str, at: int) -> int:
    """Block comments nest."""
    depth = 0
    while at < len(wgsl):
        pair = wgsl[at : at + 2]
        if pair in ("/*", "*/"):
            depth += 1 if pair == "/*" else -1
            at += 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


class _Override(NamedTuple):
    """A declaration from `start` to `end` of the text; no type or default where it gives none."""

    start: int
    end: int
    name: str
    kind: str
    default: str


def _overrides(wgsl: str) -> Iterator[_Override]:
    words = list(tokens(wgsl))
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
        name, kind, default = words[i + 1], words[i + 3 : head], words[head + 1 : end]
        yield _Override(words[start].start, words[end].end, name.text, _spelled(kind), _spelled(default))


def _attribute(texts: list[str], i: int) -> int:
    """Where the declaration whose word is i begins: with its @id, if it has one."""
    start = i - 1
    while start > 0 and texts[start] not in "@;}":
        start -= 1
    return start if start >= 0 and texts[start : start + 2] == ["@", "id"] else i


def _spelled(words: list[Token]) -> str:
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
    least, most = _LIMITS.get(kind, (-float("inf"), float("inf")))
    fits = isinstance(value, int | float) and value - value == 0 and least <= value <= most
    fits = fits and (kind not in ("bool", "i32", "u32") or value == int(value))
    if not fits:
        raise DtypeError(f"check: constant {name}: no {kind or 'finite number'}: {given!r}")
    if kind == "bool" or (not kind and isinstance(value, bool)):
        return "true" if value else "false"
    if kind:
        return repr(float(value) if kind.startswith("f") else int(value))
    return repr(value)


def _line_of(wgsl: str, token: Token) -> str:
    return f"line {wgsl.count(chr(10), 0, token.start) + 1}"
