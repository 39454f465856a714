"""Parsing of the options of `rusty-bench check`, and its output."""

import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rusty_py.bench.report.files import FileError
from rusty_py.cache_file import ensure_regular
from rusty_py.errors import LimitError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rusty_py.checker import Report


STDIN = "<stdin>"
MAX_BYTES = 4 << 20
"""The maximum size of a WGSL file, from the character limit of `check`."""


def read_wgsl(path: Path, *, operation: str = "check") -> str:
    """The text of a file, or of standard input if `path` is `-`. Raises FileError, LimitError."""
    try:
        text = _bytes_of(path, operation).decode("utf-8-sig")
    except OSError as error:
        raise FileError(f"{name_of(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{name_of(path)}: not UTF-8 text: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bytes_of(path: Path, operation: str) -> bytes:
    if name_of(path) != STDIN:
        with path.open("rb") as file:
            found = file.read(MAX_BYTES + 1)
    elif sys.stdin is None:
        raise OSError(errno.EBADF, "closed")
    else:
        found = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise LimitError(f"{operation}: the text is too long: {name_of(path)}: more than {MAX_BYTES} bytes")
    return found


def name_of(path: Path) -> str:
    """The name of the file in the report."""
    return STDIN if str(path) == "-" else os.fsencode(path).decode("utf-8", "replace")


def parse_workgroups(text: str) -> tuple[int, ...]:
    """(8,), (8, 4) or (8, 4, 2) of "8", "8x4" or "8x4x2"."""
    if not re.fullmatch(r"\d{1,5}(x\d{1,5}){0,2}", text):
        raise typer.BadParameter(
            f"{text!r} is not a number of workgroups: 8, 8x4 or 8x4x2", param_hint="--workgroups"
        )
    return tuple(map(int, text.split("x")))


def parse_buffers(texts: Sequence[str]) -> "dict[str, ArrayLike | str]":
    """The buffers by name: a description, or the array of a .npy file."""
    return {
        name: array_in(value, name) if value.startswith("@") else value
        for name, value in pairs(texts, "--buffer", "a=f32[1000]")
    }


def parse_constants(texts: Sequence[str]) -> dict[str, int | float | bool]:
    """The constants by name: numbers, true or false."""
    found: dict[str, int | float | bool] = {}
    for name, value in pairs(texts, "--constant", "TILE=16"):
        try:
            found[name] = value == "true" if value in ("true", "false") else _number(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is not a number", param_hint="--constant") from error
    return found


def text_of(report: "Report", *, as_json: bool) -> str:
    """The report as text or JSON."""
    if not as_json:
        return str(report)
    return json.dumps(report.as_json(), indent=2, allow_nan=False)


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


def pairs(texts: Sequence[str], option: str, example: str) -> Iterator[tuple[str, str]]:
    """The names and values of NAME=VALUE. Raises a usage error."""
    seen = set()
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not (equals and name and value):
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE, as in {example}", param_hint=option)
        if name in seen:
            raise typer.BadParameter(f"{name} is given twice", param_hint=option)
        seen.add(name)
        yield name, value


def array_in(value: str, name: str, *, regular: bool = False) -> "ArrayLike":
    """The array of the .npy file `@value`, which shall be `regular` where nothing could be read from a pipe.

    Raises FileError.
    """
    from numpy.lib import format

    path = Path(value[1:])
    try:
        if regular:
            ensure_regular(path)
        with path.open("rb") as file:
            array: ArrayLike = format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise FileError(f"{name_of(path)}: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError) as error:
        raise FileError(f"{name_of(path)}: not an array of numbers in .npy format, for {name}") from error
    return array
