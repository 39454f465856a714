"""Where in the WGSL text a line of the Metal text comes from, down to the variable that it accesses."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rusty_py.checker.report import SourceSpan
from rusty_py.checker.translate import Translation
from rusty_py.checker.wgsl import Statement
from rusty_py.wgsl_text.tokens import Token, tokens

Span = tuple[int, int]


def place_of(
    lines: Sequence[int], translation: Translation, name: str | None, spelled: str
) -> SourceSpan | None:
    """The statement behind the first of these Metal lines that has one.

    `name`: the variable that it accesses; `spelled`: its name in Metal. The place is then narrowed to where
    the statement names it, if that is known.
    """
    for line in lines:
        statement = translation.lines[line - 1] if line <= len(translation.lines) else None
        if statement is None:
            continue
        start, end = statement.start, statement.end
        if name is not None:
            start, end = _access(line, statement, translation, name, spelled) or (start, end)
        return _place(translation.wgsl, start, end)
    return None


def mention_of(name: str, statement: Statement, translation: Translation) -> SourceSpan:
    """Where a statement first names a value; the whole statement where it does not."""
    text = translation.wgsl
    words = tokens(text[statement.start : statement.end])
    for before, word in pairwise([Token("", 0), *words]):
        if word.text == name and before.text != ".":
            return _place(text, statement.start + word.start, statement.start + word.end)
    return _place(text, statement.start, statement.end)


@lru_cache(maxsize=4096)
def stores_to(line: str, spelled: str) -> bool:
    """Whether a line of Metal assigns to a variable, or to a part of it."""
    words = _texts(line)
    return words[:1] == [spelled] and _assigning(words, _behind_access(words, 0)) == "="


def _place(text: str, start: int, end: int) -> SourceSpan:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    end = min(end, line_end if line_end >= 0 else len(text))
    end = start + len(text[start:end].rstrip())
    return SourceSpan(text.count("\n", 0, start) + 1, start - line_start + 1, end - start)


class _Mention(NamedTuple):
    """An access that a statement spells: the variable's name, and what is done there.

    `assigning` is the sign that assigns to it, or nothing; naga writes the line of a load after those with a
    smaller `rank`.
    """

    span: Span
    assigning: str
    rank: tuple[int, int]


def _access(
    line: int, statement: Statement, translation: Translation, name: str, spelled: str
) -> Span | None:
    """Which of the statement's mentions of a variable a line of Metal is; None where that is not known."""
    metal = translation.msl.split("\n")
    mentions = _mentions(translation.wgsl, statement, name)
    if stores_to(metal[line - 1], spelled):
        stored = [each.span for each in mentions if each.assigning]
        return stored[0] if len(stored) == 1 else None
    loads = sorted((each for each in mentions if each.assigning != "="), key=lambda each: each.rank)
    if len(loads) < 2:
        return loads[0].span if loads else None
    # naga writes a line for each load, in the order of the text. Thousands may be of one statement.
    earlier = sum(
        translation.lines[i] == statement and _names(metal[i], spelled) and not stores_to(metal[i], spelled)
        for i in range(line - 1)
    )
    return loads[earlier].span if earlier < len(loads) else None


@lru_cache(maxsize=4)
def _mentions(text: str, statement: Statement, name: str) -> tuple[_Mention, ...]:
    words = tokens(text[statement.start : statement.end])
    texts = [word.text for word in words]
    found = []
    for i, word in enumerate(words):
        if word.text != name or not _is_access(texts, i):
            continue
        start, behind = statement.start + word.start, _behind_access(texts, i)
        found.append(_Mention((start, start + len(name)), _assigning(texts, behind), _rank(texts, i)))
    return tuple(found)


def _is_access(words: list[str], i: int) -> bool:
    """Whether word i, a variable's name, is neither a member, nor declared here, nor asked for its length."""
    if words[i - 1 : i] == ["."] or words[i - 4 : i] == ["var", "<", "function", ">"]:
        return False
    while i > 0 and words[i - 1] in ("(", "&"):
        i -= 1
    return words[i - 1 : i] not in (["let"], ["var"], ["const"], ["arrayLength"])


def _rank(words: list[str], i: int) -> tuple[int, int]:
    """Indices come before what they index, a call behind its arguments, a `for`'s update before its test."""
    part = words[:i].count(";") if words[0] == "for" else 0
    behind = _behind_access(words, i)
    if words[i - 2 : i] == ["(", "&"] and words[i - 3].startswith("atomic"):
        behind = _behind(words, i - 2)
    return (0, 2, 1)[part], behind


def _behind_access(words: list[str], i: int) -> int:
    """Behind the indices and members that follow name i."""
    i += 1
    while words[i : i + 1] in (["["], ["."]):
        i = _behind(words, i) if words[i] == "[" else i + 2
    return i


def _behind(words: list[str], i: int) -> int:
    """Behind the bracket that closes bracket i."""
    depth = 0
    while i < len(words):
        depth += (words[i] in ("(", "[")) - (words[i] in (")", "]"))
        i += 1
        if depth == 0:
            break
    return i


_ASSIGNING = {*"+-*/%&|^", "<<", ">>"}


def _assigning(words: list[str], i: int) -> str:
    """The sign from word i on, one letter a word, that assigns to what is before it; nothing if none does."""
    three = "".join(words[i : i + 3])
    if three.startswith("=") and not three.startswith("=="):
        return "="
    if three in ("++;", "--;", "++)", "--)"):  # No `a - -b`.
        return three[:2]
    sign = three.partition("=")[0]
    return f"{sign}=" if sign in _ASSIGNING and sign != three else ""


@lru_cache(maxsize=4096)
def _names(line: str, spelled: str) -> bool:
    words = _texts(line)
    return any(word == spelled and words[i - 1 : i] != ["."] for i, word in enumerate(words))


def _texts(text: str) -> list[str]:
    return [word.text for word in tokens(text)]
