"""WGSL to Metal's language, by naga, with the WGSL statement that each line of it came from.

naga's Metal text has no line numbers. So the text is translated twice: as it is, and with a call before
each statement that says which one. What is left of the second without those calls must be the first; then
the calls tell where the first came from, and have changed nothing.
"""

import atexit
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rusty_py.checker import tools
from rusty_py.checker.late import Late, late_values
from rusty_py.checker.node import Compiler, CompilerDied
from rusty_py.checker.wgsl import MARK, Statement, entry_points, mark, names
from rusty_py.errors import ShaderError, ToolError

VERSION = (2, 4)
"""The oldest of Metal's language that has all that our kernels use."""


@dataclass(frozen=True)
class EntryPoint:
    """An entry point: its name in WGSL and in Metal, and its workgroup size."""

    name: str
    metal_name: str
    threads: tuple[int, int, int]


@dataclass(frozen=True)
class Global:
    """A variable of the module: its name in WGSL and in Metal, its address space and type."""

    name: str
    spelled: str
    space: str
    kind: str


@dataclass(frozen=True)
class Translation:
    """A Metal text; `lines[i]` is the WGSL statement behind its line i + 1, None where there is none.

    `late` are the values that it computes later than the WGSL text.
    """

    wgsl: str
    msl: str
    lines: tuple[Statement | None, ...]
    entries: tuple[EntryPoint, ...]
    globals: tuple[Global, ...]
    late: tuple[Late, ...]

    @property
    def sized(self) -> tuple[Global, ...]:
        """The variables whose sizes in bytes the kernel receives, for arrayLength, in that order."""
        found = re.search(r"struct _mslBufferSizes \{\n(.*?)\};", self.msl, re.DOTALL)
        numbers = re.findall(r"uint size(\d+);", found[1]) if found else []
        return tuple(self.globals[int(number)] for number in numbers)


def translate(wgsl: str, *, version: tuple[int, int] = VERSION, name: str = "wgsl") -> Translation:
    """`wgsl`, its overrides baked, as Metal text. Raises ShaderError with naga's words, ToolError.

    `name` is what those call the text.
    """
    try:
        answer = ask(wgsl, version, name=name)
    except GaveUp:
        _refuse_late_calls(wgsl)
        raise
    msl, spelled = answer["msl"], answer["wgsl"]
    if graphics := re.search(r"(?m)^(vertex|fragment) ", msl):
        raise ShaderError(f"check: compute shaders only: the text has one for a {graphics[1]}: leave it out")
    metal_names = re.findall(r"\bkernel void (\w+)\(", msl)
    sizes = re.findall(r"@compute @workgroup_size\((\d+), (\d+), (\d+)\)", spelled)
    marked, statements = mark(wgsl)
    answer = ask(marked, version)
    return Translation(
        wgsl=wgsl,
        msl=msl,
        lines=_lines(msl, answer["msl"], statements),
        entries=tuple(
            EntryPoint(name, metal_name, (int(x), int(y), int(z)))
            for name, metal_name, (x, y, z) in zip(entry_points(wgsl), metal_names, sizes, strict=True)
        ),
        globals=_globals(wgsl, msl, spelled),
        late=late_values(answer["wgsl"], wgsl, statements),
    )


def validate(wgsl: str, *, name: str = "wgsl") -> None:
    """Raises ShaderError with naga's words where a text is not valid, its overrides not baked; ToolError."""
    ask(wgsl, write=(), name=name)


class GaveUp(ShaderError):
    """naga panics on the text."""


def ask(
    wgsl: str,
    version: tuple[int, int] = VERSION,
    *,
    write: Sequence[str] = ("msl", "wgsl"),
    name: str = "wgsl",
) -> dict[str, str]:
    """naga's answer, of these two: `msl`, and `wgsl` as it spells what it understood.

    Raises ShaderError, GaveUp, ToolError.
    """
    try:
        answer = _naga().ask({"wgsl": wgsl, "version": version, "write": write})
    except CompilerDied as error:
        if not error.gave_up:
            raise ToolError(f"check: Node cannot run naga: {_last_line(str(error))}") from error
        raise GaveUp(f"check: naga gave up on the text: {str(error)[-300:].strip()}") from error
    if "error" in answer:
        # It quotes the text, which could steer a terminal.
        words = "".join(
            each if each.isprintable() or each in "\n\t" else "\ufffd" for each in answer["error"]
        )
        words = words.strip().replace("─ wgsl:", f"─ {name}:")
        raise ShaderError(f"check: naga refuses the text: {words}")
    return answer


def _last_line(words: str) -> str:
    """Of what Node says the line that names the error."""
    lines = [line.strip() for line in words.split("\n") if line.strip()]
    return next((line for line in lines if re.match(r"\w*Error\b", line)), lines[0])


@cache
def _naga() -> Compiler:
    compiler = Compiler([tools.node(), Path(__file__).with_name("naga.mjs"), tools.naga()])
    atexit.register(compiler.close)
    return compiler


def _refuse_late_calls(wgsl: str) -> None:
    """Raises ShaderError where naga panics because a call's result has no name where it is used."""
    marked, statements = mark(wgsl)
    for late in late_values(ask(marked, write=["wgsl"])["wgsl"], wgsl, statements):
        if not late.changed:
            use, declared = (wgsl.count("\n", 0, each.start) + 1 for each in (late.use, late.declared))
            raise ShaderError(
                f"check: line {use}: naga cannot translate {late.name} to Metal here: line {declared} gives"
                f" it the result of a call, in front of the loop's `continuing`: write `var {late.name}`"
                f" instead of `let {late.name}`"
            )


def _lines(msl: str, marked: str, statements: Sequence[Statement]) -> tuple[Statement | None, ...]:
    """The statement behind each line of `msl`. Raises ShaderError where the marks did not come back."""
    kept: list[tuple[str, Statement | None]] = []
    current: Statement | None = None
    marked_last = False
    for line in _MARKER.sub("", marked).split("\n"):
        if call := re.fullmatch(rf"\s*{MARK}\((\d+)u\);", line):
            current = statements[int(call[1])]
            marked_last = True
            continue
        if marked_last and line.strip() == "}" and kept[-1][0].strip() in ("{", "} else {"):
            # A block of nothing but marks, as constants leave it: naga writes none where there is nothing.
            opened = kept.pop()[0].strip()
            if opened == "} else {":
                kept.append((line, current))
        elif line.strip():
            if _begins_anew(line):
                current = None
            kept.append((line, current))
        marked_last = False
    lines = msl.split("\n")
    full = [line for line in lines if line.strip()]
    if _renumbered([line for line, _ in kept]) != _renumbered(full):
        raise ShaderError("check: cannot follow naga's text: marking its statements changed it")
    behind = iter(kept)
    return tuple(next(behind)[1] if line.strip() else None for line in lines)


_MARKER = re.compile(rf"void {MARK}\(\n    uint statement\n\) \{{\n    return;\n\}}\n")


def _begins_anew(line: str) -> bool:
    """Whether a function, or something else of the module, begins here."""
    return not line.startswith((" ", "}", ")", ","))


def _renumbered(lines: list[str]) -> list[str]:
    """naga numbers what has no name, values function by function and types: in the order of the text here."""
    numbered = re.compile(r"_e\d+\b|\btype_\d+\b")
    values: dict[str, str] = {}
    types: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        kind, seen = ("type_", types) if found[0].startswith("type_") else ("_e", values)
        return seen.setdefault(found[0], f"{kind}{len(seen)}")

    result = []
    for line in lines:
        if _begins_anew(line):
            values.clear()
        result.append(numbered.sub(number, line))
    return result


def _globals(wgsl: str, msl: str, spelled: str) -> tuple[Global, ...]:
    """The variables of the module in naga's order. `spelled` is naga's WGSL, whose names may differ.

    Raises ShaderError where two names cannot be distinguished.
    """
    candidates = names(wgsl)
    bases = [_base(name) for name in candidates]
    if alike := sorted(name for name, base in zip(candidates, bases, strict=True) if bases.count(base) > 1):
        raise ShaderError(f"check: naga spells these names alike: {', '.join(alike)}: rename one")
    metal = re.findall(r"(?m)^(?:  |, )(?:device|constant|threadgroup) .*& (\w+)(?: \[\[.*)?$", msl)
    found = []
    for space, name, kind in re.findall(r"(?m)^var(?:<([^>]*)>)? (\w+): (.*?)(?: = .*)?;$", spelled):
        original = _original(name, candidates)
        in_metal = [each for each in metal if _original(each, candidates) == original]
        found.append(Global(original, in_metal[0] if in_metal else name, space, kind))
    return tuple(found)


def _original(spelled: str, candidates: list[str]) -> str:
    """The name that naga spelled so.

    It appends `_` to what ends in a digit or is a word of its language, and a number to what occurs twice. It
    puts `gen_` before what begins as names of its own do.
    """
    for plain in (spelled, spelled.removeprefix("gen_")):
        for name in candidates:
            base = _base(name)
            if re.fullmatch(rf"{base}_\d*" if base[-1].isdigit() else rf"{base}(_\d*)?", plain):
                return name
    return spelled


def _base(name: str) -> str:
    """As naga begins to spell a name: letters beyond ASCII by number, single underscores, none at the end."""
    ascii_only = re.sub(r"[^\x00-\x7f]", lambda letter: f"_u{ord(letter[0]):04x}_", name)
    return re.sub("_+", "_", ascii_only if name[:1].isascii() else ascii_only[1:]).rstrip("_") or name
