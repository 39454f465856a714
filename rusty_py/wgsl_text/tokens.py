"""The tokens of a WGSL text, and the limits of what compilers can take."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rusty_py.errors import LimitError, ShaderError

MAX_CHARACTERS = 1 << 20
MAX_NESTED = 200
MAX_SIGNS = 2000
"""Signs of one expression. naga's recursion overflows the stack at some 20,000 terms."""
MAX_ELSE = 1000
"""`else` in a text: each `else if` is nested in the one before."""

# Comments end where WGSL's lines do, and marks of direction are blanks.
_TOKEN = re.compile(
    r"[\s\u200e\u200f]+|//[^\n\v\f\r\x85\u2028\u2029]*|(?P<word>[^\W\d]\w*|\d[\w.]*|\.\d[\w.]*|[^\w\s])"
)
OPEN, CLOSE = "([{", ")]}"


class Token(NamedTuple):
    """A word or a sign, and where it begins."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def check_size(wgsl: str, *, operation: str = "check") -> None:
    """Raises LimitError for texts so large or so deeply nested that compilers give up on them.

    Raises ShaderError for half of a surrogate pair, as in bytes that were decoded with "surrogateescape".
    """
    if len(wgsl) > MAX_CHARACTERS:
        raise LimitError(f"{operation}: the text is too long: {len(wgsl)} > {MAX_CHARACTERS} characters")
    if half := re.search("[\ud800-\udfff]", wgsl):
        raise ShaderError(f"{operation}: the text is not Unicode: {half[0]!r} at character {half.start()}")
    depth = 0
    for token in tokens(wgsl):
        depth += (token.text in OPEN) - (token.text in CLOSE)
        if depth > MAX_NESTED:
            raise LimitError(
                f"{operation}: brackets are nested deeper than {MAX_NESTED}: {line_of(wgsl, token)}"
            )


def check_chains(wgsl: str, *, operation: str) -> None:
    """Raises LimitError for expressions and chains of `else if` so long that naga overflows the stack."""
    signs, branches = [0], 0
    for token in tokens(wgsl):
        text = token.text
        branches += text == "else"
        if text in ";,{}":
            signs[-1] = 0
        elif text in CLOSE:
            signs = signs[:-1] or [0]
        elif not (text[0].isalnum() or text[0] == "_"):
            signs[-1] += 1
        if text in OPEN and text != "{":
            signs.append(0)
        if signs[-1] > MAX_SIGNS:
            raise LimitError(
                f"{operation}: an expression is too long: more than {MAX_SIGNS} signs:"
                f" {line_of(wgsl, token)}: split it with let"
            )
        if branches > MAX_ELSE:
            raise LimitError(
                f"{operation}: too many branches: more than {MAX_ELSE} else:"
                f" {line_of(wgsl, token)}: use switch"
            )


def line_of(wgsl: str, token: Token) -> str:
    """The line of a token, as messages name it."""
    return f"line {wgsl.count(chr(10), 0, token.start) + 1}"


@lru_cache(maxsize=64)
def tokens(wgsl: str) -> tuple[Token, ...]:
    """Its words and signs, without comments."""
    return tuple(_tokens(wgsl))


def _tokens(wgsl: str) -> Iterator[Token]:
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
