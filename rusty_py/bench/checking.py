"""What `rusty-bench check` is told, as `rusty_py.checker.check` takes it, and what it prints."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rusty_py.bench.report.files import FileError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rusty_py.checker import Report


def read_wgsl(path: Path) -> str:
    """The text of a file, or of standard input where that is `-`. Raises FileError."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 text: {error}") from error


def parse_workgroups(text: str) -> tuple[int, ...]:
    """(8,), (8, 4) or (8, 4, 2) of "8", "8x4" or "8x4x2"."""
    if not re.fullmatch(r"\d{1,5}(x\d{1,5}){0,2}", text):
        raise typer.BadParameter(
            f"{text!r} is no number of workgroups: 8, 8x4 or 8x4x2", param_hint="--workgroups"
        )
    return tuple(map(int, text.split("x")))


def parse_buffers(texts: Sequence[str]) -> "dict[str, ArrayLike | str]":
    """By name, a description or the array in a .npy file."""
    return {
        name: _array_in(value, name) if value.startswith("@") else value
        for name, value in _pairs(texts, "--buffer", "a=f32[1000]")
    }


def parse_constants(texts: Sequence[str]) -> dict[str, int | float | bool]:
    """By name, numbers, and true and false."""
    found: dict[str, int | float | bool] = {}
    for name, value in _pairs(texts, "--constant", "TILE=16"):
        try:
            found[name] = value == "true" if value in ("true", "false") else _number(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is no number", param_hint="--constant") from error
    return found


def text_of(report: "Report", *, as_json: bool) -> str:
    """What standard output gets."""
    return json.dumps(report.as_json(), indent=2) if as_json else str(report)


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


def _pairs(texts: Sequence[str], option: str, example: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name and value):
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE, as in {example}", param_hint=option)
        if name in seen:
            raise typer.BadParameter(f"{name} is given twice", param_hint=option)
        seen.add(name)
        yield name, value


def _array_in(value: str, name: str) -> "ArrayLike":
    import numpy as np

    try:
        array: ArrayLike = np.load(Path(value[1:]), allow_pickle=False)
    except OSError as error:
        raise FileError(f"{value[1:]}: {error.strerror or error}") from error
    except ValueError as error:
        raise FileError(f"{value[1:]}: not an array of numbers in NumPy's format, for {name}") from error
    return array
