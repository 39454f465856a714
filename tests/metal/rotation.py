"""Which kernels and works are due today: new ones, and a fourteenth of those in the list of checked kernels.

A text that does not change need not be checked every day: `make test` checks each kernel of the list once in
two weeks, `make test-all` all of them. A change of the checker, or of these tests, makes every kernel new,
until `python -m tests.metal.checked_list` has checked all and written the list.
"""

import hashlib
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from rusty_py import shaders
from rusty_py.runtime.launch import Spec

from ..day import DAY

FOLDER = Path(__file__).parent
LIST = FOLDER / "checked.txt"
DAYS = 14
_LENGTH = 16
_TESTS = (
    *("declared.py", "execution.py", "package-lock.json", "reserved.py", "tint.mjs"),
    *("test_initialisers.py", "test_msl.py", "test_numbers.py", "test_registry.py"),
    *("test_reserved_words.py", "test_tint.py"),
)


@cache
def digest(spec: Spec) -> str:
    """Of all that the text of a kernel depends on, beside the code that assembles it."""
    text = f"{shaders.read(spec.name)}\n{spec.definitions}"
    numbers = (spec.threads, spec.workgroup_bytes, spec.inputs, spec.outputs, spec.has_uniforms)
    parts = [text, *map(shaders.read, shaders.library(text)), repr((numbers, spec.constants))]
    return _digest("\n".join(parts).encode())


@cache
def tools_digest() -> str:
    """Of the code that assembles, translates and checks: the checker, and the tests that take turns."""
    package = Path(shaders.__file__).parent
    files = [package / "shaders.py", *_files(package / "checker"), *_files(package / "wgsl_text")]
    files += [FOLDER / name for name in _TESTS]
    return _digest(b"\n".join(path.read_bytes() for path in files))


@cache
def listed() -> frozenset[str]:
    """The digests in the list; none where it was written by other tools."""
    tools, *digests = LIST.read_text(encoding="utf-8").split()
    return frozenset(digests) if tools == tools_digest() else frozenset()


def is_new(spec: Spec) -> bool:
    """Whether a kernel is not in the list."""
    return digest(spec) not in listed()


def is_turn(name: str) -> bool:
    """Whether it is the day of what has this name."""
    return int(_digest(name.encode()), 16) % DAYS == DAY % DAYS


def are_due(name: str, specs: Collection[Spec]) -> bool:
    """Whether a work that launches these kernels is done today."""
    return is_turn(name) or any(map(is_new, specs))


def due(specs: Sequence[Spec]) -> list[Spec]:
    """The kernels that are checked today."""
    return [spec for spec in specs if are_due(digest(spec), [spec])]


def write(specs: Sequence[Spec]) -> None:
    """Writes the list, all of these kernels having been checked."""
    lines = [tools_digest(), *sorted(set(map(digest, specs)))]
    LIST.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.suffix != ".pyc")
    return [path for path in found if path.is_file()]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_LENGTH]
