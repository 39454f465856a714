"""Finds values that naga's Metal text computes later than WGSL does.

Metal has no `continuing`: naga writes that block, with its `break if`, at the head of the loop, in front of
the body that precedes it in WGSL. There a `let` of the body has no name yet, and in `break if` neither has
one of the block itself: naga writes out its expression once more. By then the variables that it loads may
have changed, and the result of a call cannot be written out at all: naga panics.

This reads naga's own spelling of the WGSL text, in which each load, store and call is a line of its own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from rusty_py.checker.wgsl import MARK, Statement
from rusty_py.wgsl_text.tokens import tokens


@dataclass(frozen=True)
class Late:
    """A value that the statement `use` computes anew: that of a `let` in the statement `declared`.

    `name` is that of the `let`; empty where `declared` is `use`, part of a condition that calls a function.
    `changed` is the variable that may have changed in between, in naga's spelling; empty for a call's result.
    `is_pointer`: the value is a pointer, and what changed is an index of it.
    """

    name: str
    use: Statement
    declared: Statement
    changed: str
    is_pointer: bool


def late_values(spelled: str, wgsl: str, statements: Sequence[Statement]) -> tuple[Late, ...]:
    """The late values of `wgsl`. `spelled` is naga's spelling of it, with each of its `statements` marked."""
    if "continuing {" not in spelled:
        return ()
    spaces = {name: space for space, name in re.findall(r"(?m)^var<([^>]*)> (\w+):", spelled)}
    effects: dict[str, frozenset[str]] = {}
    found: dict[tuple[Statement, Statement, bool], Late] = {}
    for name, text in re.findall(r"(?ms)^fn (\w+)(\(.*?)^\}$", spelled):
        function = _Function(text, spaces, effects)
        effects[name] = function.effects()
        for value in function.late_values():
            use, declared = (statements[function.lines[i].mark] for i in (value.use, value.declared))
            words = [word.text for word in tokens(wgsl[declared.start : declared.end])]
            late = Late(
                name=words[1] if use != declared and words[0] == "let" else "",
                use=use,
                declared=declared,
                changed=value.changed,
                is_pointer=function.expression(value.declared).startswith("(&"),
            )
            found.setdefault((use, declared, bool(late.changed)), late)
    return tuple(found.values())


_SHARED = "*"
"""Stands for all variables that other threads can write."""
_SHARED_SPACES = ("workgroup", "storage, read_write")

_BARRIER = re.compile(r"\b(?:\w+Barrier|workgroupUniformLoad)\(")
_ATOMIC = r"atomic(?!Load)\w+\("
_RESULT = re.compile(rf"{_ATOMIC}|workgroupUniformLoad\(|subgroup\w+\(|quad\w+\(")
"""The built-in functions whose calls are statements to naga."""


class _Line(NamedTuple):
    """A line of a function, the number of its statement, and the blocks around it, the innermost last."""

    text: str
    mark: int
    blocks: tuple[int, ...]


@dataclass
class _Block:
    """What opens it, the line behind it, and the `let`s directly in it, with their lines."""

    opener: str
    end: int = 0
    lets: dict[str, int] = field(default_factory=dict)


class _Value(NamedTuple):
    """A late value: the lines of its use and its declaration, and what changed between them."""

    use: int
    declared: int
    changed: str


class _Function:
    """A function in naga's spelling: its text from the parameters on."""

    def __init__(self, text: str, spaces: Mapping[str, str], callees: Mapping[str, frozenset[str]]) -> None:
        head, *body = text.split("\n")
        parameters: dict[str, str] = dict(re.findall(r"(\w+): ptr<(\w+)", head))
        self.module, self.callees = set(spaces), callees
        self.shared = {name for name, space in spaces.items() if space in _SHARED_SPACES}
        self.shared |= {name for name, space in parameters.items() if space in ("workgroup", "storage")}
        self.variables = self.module | set(re.findall(r"(?m)^ *var (\w+):", text))
        self.pointers = {name: name for name in parameters}
        self.lines: list[_Line] = []
        self.blocks = [_Block("")]
        self._read(body)
        self.changes = [frozenset(self._changed_by(line.text)) for line in self.lines]

    def effects(self) -> frozenset[str]:
        """What a call of this may change beyond what it is given pointers to."""
        return frozenset().union(*self.changes) & (self.module | {_SHARED})

    def late_values(self) -> Iterator[_Value]:
        for use, line in enumerate(self.lines):
            unnamed = self._unnamed(line)
            for name in _names(line.text):
                if name in unnamed:
                    yield from self._late(name, use, unnamed)

    def expression(self, i: int) -> str:
        """What the `let` in line i is given."""
        return self.lines[i].text.partition(" = ")[2].removesuffix(";")

    def _read(self, body: Sequence[str]) -> None:
        around, marks = [0], [-1]  # The blocks around a line, and the statement that each has come to.
        for text in filter(None, map(str.strip, body)):
            if call := re.fullmatch(rf"{MARK}\((\d+)u\);", text):
                marks[-1] = int(call[1])
                continue
            if text.startswith("}"):
                self.blocks[around.pop()].end = len(self.lines)
                marks.pop()
            self._add(text, marks[-1], around)
            if text.endswith("{"):
                self.blocks.append(_Block(text))
                around.append(len(self.blocks) - 1)
                marks.append(marks[-1])

    def _add(self, text: str, mark: int, around: Sequence[int]) -> None:
        if let := re.match(r"let (\w+) = (\(&)?", text):
            self.blocks[around[-1]].lets[let[1]] = len(self.lines)
            if let[2]:
                self.pointers[let[1]] = self._root(text[let.end() :])
        self.lines.append(_Line(text, mark, tuple(around)))

    def _unnamed(self, line: _Line) -> dict[str, int]:
        """The `let`s that have no name in Metal where this line is, and where they are declared."""
        found: dict[str, int] = {}
        for body, block in pairwise(line.blocks):
            if self.blocks[block].opener == "continuing {":
                found |= self.blocks[body].lets
                if line.text.startswith("break if ") and block == line.blocks[-1]:
                    own = self.blocks[block].lets
                    found |= {name: i for name, i in own.items() if not self._is_result(i)}
        return found

    def _late(self, name: str, use: int, unnamed: Mapping[str, int]) -> Iterator[_Value]:
        """The late ones among the values that this one is computed from, and itself."""
        seen, left = set(), [(name, -1)]
        while left:
            name, declared = left.pop()
            if name in seen:
                continue
            seen.add(name)
            i = unnamed[name]
            if declared < 0 and self.lines[i].mark != self.lines[use].mark:
                declared = i
            changed = self._changed_since(i, use)
            if changed is not None:
                yield _Value(use, i if declared < 0 else declared, changed)
            left += [(each, declared) for each in _names(self.expression(i)) if each in unnamed]

    def _changed_since(self, i: int, use: int) -> str | None:
        """The variable that line i loads, where it may have changed by line `use`."""
        if self._is_result(i):
            return ""
        expression = self.expression(i)
        is_atomic = expression.startswith("atomicLoad(")
        if not is_atomic and not self._is_load(expression):
            return None
        root = self._root(expression.removeprefix("atomicLoad"))
        changed = frozenset().union(*self.changes[i + 1 : self._end(i, use)])
        changes = root in changed or (root in self.shared and _SHARED in changed)
        # Another thread may change an atomic at any time.
        return root if changes or (is_atomic and self.lines[i].mark != self.lines[use].mark) else None

    def _end(self, i: int, use: int) -> int:
        """Where what line i loads may no longer change: at its use, or behind a loop that repeats the use."""
        for block in self.lines[use].blocks:
            if self.blocks[block].opener == "loop {" and block not in self.lines[i].blocks:
                return self.blocks[block].end
        return use

    def _is_result(self, i: int) -> bool:
        expression = self.expression(i)
        return expression.partition("(")[0] in self.callees or _RESULT.match(expression) is not None

    def _is_load(self, expression: str) -> bool:
        path, indices = expression, 1
        while indices:
            path, indices = re.subn(r"\[[^\[\]]*\]", "", path)
        found = re.fullmatch(r"(\(\*)?(\w+)\)?(?:\.\w+)*", path)
        return found is not None and (bool(found[1]) or found[2] in self.variables)

    def _changed_by(self, text: str) -> Iterator[str]:
        """The variables that a line changes."""
        if store := re.fullmatch(r"(?!let )(.+?) = .+;", text):
            yield self._root(store[1])
        if _BARRIER.search(text):
            yield _SHARED
        called = set(re.findall(r"(\w+)\(", text)) & self.callees.keys()
        for each in called:
            yield from self.callees[each]
        if called or re.search(_ATOMIC, text):
            yield from map(self._root, re.findall(r"&(?:\(\*)?([^\W\d]\w*)", text))
            yield from (self.pointers[name] for name in _names(text) if name in self.pointers)

    def _root(self, path: str) -> str:
        """The variable that a path begins with."""
        name = next(_names(path))
        return self.pointers.get(name, name)


def _names(text: str) -> Iterator[str]:
    return (found[0] for found in re.finditer(r"(?<![\w.])[^\W\d]\w*", text))
