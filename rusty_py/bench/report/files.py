"""Atomic file writes."""

import os
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from rusty_py.cache_file import ensure_regular
from rusty_py.errors import RustyError

_PROBE_BYTES = 64 << 10


class FileError(RustyError, OSError):
    """A file cannot be written."""


def check(path: Path, *, force: bool) -> None:
    """Raises FileError if `write` would fail, before minutes of measuring."""
    _ensure_regular(path)
    if path.exists() and not force:
        raise FileError(f"{path}: exists; use --force to replace it")
    _write_beside(path, "\0" * _PROBE_BYTES).unlink()


def check_folder(folder: Path) -> None:
    """Raises FileError if no file can be written into `folder`."""
    _write_beside(folder / "rusty-bench", "\0" * _PROBE_BYTES, blame=folder).unlink()


def make_folder(folder: Path) -> None:
    """Makes a folder, unless there is one. Raises FileError if no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror}") from error
    check_folder(folder)


def fresh_stamp(folder: Path) -> str:
    """The local time for file names, with a number appended if a file of that second exists."""
    now = datetime.now().strftime("%Y%m%d_%H%M%S")
    stamps = (now if n == 1 else f"{now}_{n}" for n in count(1))
    return next(stamp for stamp in stamps if not any(folder.glob(f"*_{stamp}.*")))


def write(path: Path, text: str) -> None:
    """Writes `text` to a temporary file next to `path` and renames it. Raises FileError; cleans up."""
    _ensure_regular(path)
    temporary = _write_beside(path, text)
    try:
        temporary.replace(path.resolve())
    except OSError as error:
        temporary.unlink()
        raise FileError(f"{path}: {error.strerror}") from error


def _ensure_regular(path: Path) -> None:
    try:
        ensure_regular(path)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error


def _write_beside(path: Path, text: str, *, blame: Path | None = None) -> Path:
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        if not isinstance(error, FileExistsError):
            with suppress(OSError):
                temporary.unlink()
        if isinstance(error, OSError):
            raise FileError(f"{blame or path}: {error.strerror}") from error
        raise
    return temporary
