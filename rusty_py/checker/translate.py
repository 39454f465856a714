"""WGSL to Metal's language, by naga, with the WGSL statement that each line of it came from.

naga's Metal text has no line numbers. So the text is translated twice: as it is, and with a call before
each statement that says which one. What is left of the second without those calls must be the first; then
the calls tell where the first came from, and have changed nothing.
"""

import atexit
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rusty_py.checker import tools
from rusty_py.checker.node import Compiler, CompilerDied
from rusty_py.checker.wgsl import MARK, Statement, entry_points, mark, names
from rusty_py.errors import ShaderError

VERSION = (2, 4)
"""The oldest of Metal's language that has all that our kernels use."""


@dataclass(frozen=True)
class Entry:
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
    """A Metal text; `lines[i]` is the WGSL statement behind its line i + 1, None where there is none."""

    wgsl: str
    msl: str
    lines: tuple[Statement | None, ...]
    entries: tuple[Entry, ...]
    globals: tuple[Global, ...]

    @property
    def sized(self) -> tuple[Global, ...]:
        """The variables whose bytes the kernel is told, for arrayLength, in that order."""
        found = re.search(r"struct _mslBufferSizes \{\n(.*?)\};", self.msl, re.DOTALL)
        numbers = re.findall(r"uint size(\d+);", found[1]) if found else []
        return tuple(self.globals[int(number)] for number in numbers)


def translate(wgsl: str, *, version: tuple[int, int] = VERSION) -> Translation:
    """`wgsl`, its overrides baked, as Metal text. Raises ShaderError with naga's words, ToolError."""
    answer = ask(wgsl, version)
    msl, spelled = answer["msl"], answer["wgsl"]
    metal_names = re.findall(r"\bkernel void (\w+)\(", msl)
    sizes = re.findall(r"@compute @workgroup_size\((\d+), (\d+), (\d+)\)", spelled)
    return Translation(
        wgsl=wgsl,
        msl=msl,
        lines=_lines(wgsl, msl, version),
        entries=tuple(
            Entry(name, metal_name, (int(x), int(y), int(z)))
            for name, metal_name, (x, y, z) in zip(entry_points(wgsl), metal_names, sizes, strict=True)
        ),
        globals=tuple(_globals(spelled, msl, names(wgsl))),
    )


def ask(wgsl: str, version: tuple[int, int] = VERSION) -> dict[str, str]:
    """naga's answer: `msl`, and `wgsl` as it spells what it understood. Raises ShaderError, ToolError."""
    try:
        answer = _naga().ask({"wgsl": wgsl, "version": version})
    except CompilerDied as error:
        raise ShaderError(f"check: naga gave up on the text: {str(error)[-300:]}") from error
    if "error" in answer:
        raise ShaderError(f"check: naga refuses the text: {answer['error'].strip()}")
    return answer


@cache
def _naga() -> Compiler:
    compiler = Compiler([tools.node(), Path(__file__).with_name("naga.mjs"), tools.naga()])
    atexit.register(compiler.close)
    return compiler


def _lines(wgsl: str, msl: str, version: tuple[int, int]) -> tuple[Statement | None, ...]:
    """The statement behind each line of `msl`. Raises ShaderError where the marks did not come back."""
    marked, statements = mark(wgsl)
    kept: list[tuple[str, Statement | None]] = []
    current: Statement | None = None
    marked_last = False
    for line in _MARKER.sub("", ask(marked, version)["msl"]).split("\n"):
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


def _globals(spelled: str, msl: str, originals: list[str]) -> Iterator[Global]:
    """The variables that naga's WGSL text declares, by the names they have in the texts it read and wrote."""
    given = set(re.findall(r"(?m)^[ ,] [^;\n]*[ &](\w+)(?: \[\[.*\]\])?$", msl))
    declared = re.findall(r"(?m)^var(?:<([^>]*)>)? (\w+): (.*?)(?: = .*)?;$", spelled)
    for space, name, kind in declared:
        # A word of one of the languages has one more underscore there.
        spellings = (name, f"{name}_", name.removesuffix("_"))
        metal_name = next((each for each in spellings if each in given), name)
        yield Global(_original(name, originals), metal_name, space, kind)


def _original(spelled: str, left: list[str]) -> str:
    """The name that naga spelled so, taken out of those left.

    It strips underscores, then appends one to some names, and a number to those that occur again.
    """
    for name in left:
        if re.fullmatch(rf"{re.escape(name.rstrip('_'))}(_\d*)?", spelled):
            left.remove(name)
            return name
    return spelled
