"""The tuning file: JSON in the user's cache directory, changed as cache_file.py says.

RUSTY_PY_TUNING=off disables it; any other value is the path of a file. The contents of the entries are
validated by the caller.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rusty_py import cache_file, user_cache
from rusty_py.errors import CacheError

ENVIRONMENT = "RUSTY_PY_TUNING"
VERSION = 2


def location() -> Path | None:
    """The path of the user's file; None if there is none (`nowhere` gives the reason)."""
    env = os.environ.get(ENVIRONMENT, "")
    if env:
        return None if env == "off" else Path(env)
    try:
        return user_cache.folder("") / "tuning" / "matmul.json"
    except CacheError:
        return None


def nowhere() -> str:
    """Why there is no `location`."""
    if os.environ.get(ENVIRONMENT) == "off":
        return f"{ENVIRONMENT}=off: unset it"
    return f"{user_cache.fault()}: {user_cache.WAY_OUT}, or {ENVIRONMENT} to a file"


def check(path: Path) -> None:
    """Raises CacheError if `change` would."""
    change(path, lambda content: None, only_try=True)


def clear(path: Path) -> bool:
    """Removes the file; False if there is none. Raises CacheError."""
    try:
        cache_file.ensure_regular(path)
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError(f"tuning: {path}: {error.strerror}") from error
    return True


def content(path: Path) -> dict[str, Any]:
    """The file as plain data; empty if it doesn't exist. Raises CacheError if it is not a tuning file."""
    empty: dict[str, Any] = {"version": VERSION, "entries": [], "refused": []}
    try:
        found = cache_file.read(path, operation="tuning")
    except ValueError:
        found = False
    if found is None:
        return empty
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise CacheError(f"tuning: {path}: damaged: remove it, or run rusty-bench tune --clear")
    if found["version"] == 1:
        found = upgraded(found)
    if found["version"] != VERSION:
        raise CacheError(
            f"tuning: {path}: of another version of rusty_py: format {found['version']}, this is {VERSION}:"
            " run rusty-bench tune --clear"
        )
    if not all(isinstance(found.setdefault(name, []), list) for name in ("entries", "refused")):
        raise CacheError(f"tuning: {path}: damaged: remove it, or run rusty-bench tune --clear")
    return found


_RENAMED = {
    "form": "signature",
    "splits": "split_k",
    "turned": "transposed",
    "slices": "slice_k",
    "columns": "gemv_n",
    "dots": "gemv_t",
    "direct": "register_tiled_cpu",
}


def upgraded(found: dict[str, Any]) -> dict[str, Any]:
    """Converts a file of version 1, with other names of keys and families, to version 2."""

    def item(old: object) -> object:
        if not isinstance(old, dict):
            return old
        new = {_RENAMED.get(name, name): value for name, value in old.items()}
        if isinstance(kernel := new.get("kernel"), dict):
            kernel = {_RENAMED.get(name, name): value for name, value in kernel.items()}
            family = kernel.get("family")
            new["kernel"] = (
                kernel | {"family": _RENAMED.get(family, family)} if isinstance(family, str) else kernel
            )
        if isinstance(signature := new.get("signature"), str):
            signature = re.sub(r"([abc](?: [abc])*) by fours", r"vec4 \1", signature)
            signature = signature.replace("one by one", "scalar").replace("pairs", "half2")
            new["signature"] = signature
        return new

    lists = {name: value for name, value in found.items() if isinstance(value, list)}
    return found | {name: list(map(item, value)) for name, value in lists.items()} | {"version": 2}


def change(path: Path, edit: Callable[[dict[str, Any]], None], *, only_try: bool = False) -> None:
    """Reads, edits and replaces the file atomically. Raises CacheError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache_file.locked(path, operation="tuning"):
            found = content(path)
            edit(found)
            cache_file.replace(path, found, only_try=only_try)
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(f"tuning: cannot write {path}: {error.strerror}: set {ENVIRONMENT}") from error
