"""Where in the WGSL text a line of the Metal text comes from, down to the variable that it accesses."""

import re
from collections.abc import Sequence

from rusty_py.checker.report import Place
from rusty_py.checker.translate import Translation
from rusty_py.checker.wgsl import Statement

Span = tuple[int, int]


def place_of(lines: Sequence[int], translation: Translation, name: str | None, spelled: str) -> Place | None:
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


def _place(text: str, start: int, end: int) -> Place:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    end = min(end, line_end if line_end >= 0 else len(text))
    end = start + len(text[start:end].rstrip())
    return Place(text.count("\n", 0, start) + 1, start - line_start + 1, end - start)


def _access(
    line: int, statement: Statement, translation: Translation, name: str, spelled: str
) -> Span | None:
    """Which of the statement's mentions of a variable a line of Metal is; None where that is not known."""
    text, metal = translation.wgsl, translation.msl.split("\n")
    # arrayLength is no access, and `.x` no `x`.
    mention = re.compile(rf"(?<!arrayLength\(&)(?<![\w.]){re.escape(name)}\b")
    mentions = [found.span() for found in mention.finditer(text, statement.start, statement.end)]
    if len(mentions) < 2:
        return mentions[0] if mentions else None
    assigned = re.compile(rf"{re.escape(name)}\b([^=]*)=(?!=)").match(text, statement.start, statement.end)
    stores = re.compile(rf"\s*{re.escape(spelled)}\b[^=]*=(?!=)")
    if stores.match(metal[line - 1]):
        return mentions[0] if assigned else None
    # naga writes a line for each load, in the order of the text ...
    used = re.compile(rf"(?<![\w.]){re.escape(spelled)}\b")
    earlier = sum(
        translation.lines[i] == statement and bool(used.search(metal[i])) and not stores.match(metal[i])
        for i in range(line - 1)
    )
    only_stored = assigned is not None and not assigned[1].rstrip().endswith(tuple("+-*/%&|^<>"))
    loads = _in_order_of_loads(mentions, text, statement, only_stored)
    return loads[earlier] if earlier < len(loads) else None


def _in_order_of_loads(
    mentions: list[Span], text: str, statement: Statement, only_stored: bool
) -> list[Span]:
    """... indices first, without what is only stored to, and the update of a `for` before its condition."""
    is_for = text.startswith("for", statement.start)

    def order(mention: Span) -> tuple[int, int]:
        part = text.count(";", statement.start, mention[0]) if is_for else 0
        return (0, 2, 1)[part], _end_of_access(text, mention[1])

    return sorted(mentions[only_stored:], key=order)


def _end_of_access(text: str, at: int) -> int:
    """Behind the indices and members that follow a name."""
    depth = 0
    while at < len(text):
        depth += (text[at] in "([") - (text[at] in ")]")
        if depth < 0 or (depth == 0 and not re.match(r"[\w.\]]", text[at])):
            break
        at += 1
    return at
