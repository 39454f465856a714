"""The folder in the user's cache for what is kept between runs: compiled shaders, kernels, tuning results.

Nothing in it is needed: where the user has no such folder, everything works without.
"""

import os
from pathlib import Path

from rusty_py.errors import CacheError

WAY_OUT = "set HOME or XDG_CACHE_HOME to a folder that can be written"


def folder(part: str) -> Path:
    """The folder for `part`, made if missing. Raises CacheError where there is no place for it."""
    found = _find(part)
    if isinstance(found, str):
        raise CacheError(f"cache: {found}: {WAY_OUT}")
    return found


def fault() -> str:
    """Why nothing can be kept between runs; empty where all is well."""
    found = _find("")
    if isinstance(found, str):
        return found
    return "" if os.access(found, os.W_OK) else f"cannot be written: {found}"


def home() -> Path | None:
    """The user's home directory, if there is one: a container may run as a user whom it does not know."""
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return found if found.is_absolute() and found.is_dir() else None


def _find(part: str) -> Path | str:
    """The folder for `part`, or why there is none."""
    from platformdirs import user_cache_path

    try:
        root = user_cache_path("rusty_py")
    except RuntimeError:  # So newer versions of platformdirs; older ones leave "~" in the path.
        root = Path("~")
    env = os.environ.get("HOME", "")
    if not root.is_absolute() or (env and root.is_relative_to(env) and not home()):
        return f"no home directory: {f'HOME={env}' if env else 'HOME is not set'}"
    try:
        (root / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"cannot be made: {root / part}: {error.strerror}"
    return root / part
