"""JSON files in the user's cache that several processes read and replace: atomically, under a lock.

What they hold is read as if it were hostile: the caller validates it.
"""

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from rusty_py.errors import CacheError

LOCK_SECONDS = 10.0
_MAX_BYTES = 16 << 20


def read(path: Path, *, operation: str) -> object:
    """The JSON in a file; None if there is no file.

    Raises CacheError if it cannot be read, ValueError if it is not JSON.
    """
    try:
        ensure_regular(path)
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CacheError(f"{operation}: {path}: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    try:
        found: object = json.loads(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return found


def ensure_regular(path: Path) -> None:
    """Raises OSError for a folder, a device or a pipe: reading it may never end, replacing destroys it.

    Also for symbolic links in a circle, of which `Path.resolve` makes a RuntimeError. No file at all is fine.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def replace(path: Path, content: object, *, only_try: bool = False) -> None:
    """Writes the content as JSON and puts it in place at once, unless `only_try`. Raises OSError."""
    ensure_regular(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not only_try:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, operation: str, wait_s: float | None = None) -> Iterator[None]:
    """Holds the file's lock across processes. Raises CacheError if another one keeps it for `wait_s`.

    That is `LOCK_SECONDS` by default. The system releases it when a process ends: there are no stale locks.
    Raises OSError where there can be no lock.
    """
    ensure_regular(path)
    try:
        import fcntl
    except ImportError:  # Windows: the file stays valid, but one of two writers may lose its change.
        yield
        return
    with path.with_name(f".{path.name}.lock").open("a") as file:
        end = time.monotonic() + (LOCK_SECONDS if wait_s is None else wait_s)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise CacheError(f"{operation}: locked by another process: {path}") from None
                time.sleep(0.01)
        yield


@cache
def note(text: str) -> None:
    """Prints a note to stderr, once per process."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
