"""Reads WGSL as far as the checker needs: its words, its statements and its names.

naga does the real parsing, and its output confirms what is found here: see `translate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rusty_py.errors import LimitError, ShaderError
from rusty_py.wgsl_text.tokens import CLOSE, OPEN, Token, line_of, tokens

MAX_NESTED_BLOCKS = 120
"""naga takes a few more. An `else if` is one deeper than its `if`."""

MARK = "checker_mark"
"""The function whose calls mark statements."""

_KEYWORDS = """
    _Alignas _Alignof _Atomic _BitInt _Complex _ExtInt _Generic _Imaginary _Nonnull _Noreturn _Nullable
    _Nullable_result _Null_unspecified _Pragma _Static_assert _Thread_local
"""
_TAKEN = {
    "a name of the checker's own": [MARK],
    "a name of naga's own in its Metal text, which it does not rename": ["_buffer_sizes", "_mslBufferSizes"],
    "a keyword of Metal's compiler, which naga does not rename": _KEYWORDS.split(),
}
"""Names that a text cannot use, and why. Metal's compiler is a clang; its other keywords naga renames."""


@dataclass(frozen=True)
class Statement:
    """A statement without the blocks it holds: from offset `start` to `end` of the text."""

    start: int
    end: int


def mark(wgsl: str) -> tuple[str, list[Statement]]:
    """`wgsl` with a call before each statement that says which one, and the statements.

    An `else if` gets braces, to have a place for its own. Nothing else is changed. Raises ShaderError for
    names that cannot be used.
    """
    marker = _Marker(wgsl)
    _refuse_names(wgsl, marker.tokens)
    return marker.marked(), marker.statements


def _refuse_names(wgsl: str, words: Sequence[Token]) -> None:
    for word in words:
        for whose, taken in _TAKEN.items():
            if word.text in taken:
                raise ShaderError(f"check: {line_of(wgsl, word)}: {whose}: {word.text}: rename it")


def names(wgsl: str) -> list[str]:
    """The variables of the module, in the order of the text."""
    depth, found, words = 0, [], iter(tokens(wgsl))
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
    found, words, is_entry = [], tokens(wgsl), False
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
        self.tokens = tokens(wgsl)
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
        if self.depth > MAX_NESTED_BLOCKS:
            place = line_of(self.wgsl, self.tokens[i])
            raise LimitError(f"check: statements are nested deeper than {MAX_NESTED_BLOCKS}: {place}")
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
            depth += (self._text(i) in OPEN) - (self._text(i) in CLOSE)
            if depth == 0:
                return i
            i += 1

    def _text(self, i: int) -> str:
        if i >= len(self.tokens):
            raise ShaderError("check: the text ends within a function")
        return self.tokens[i].text
