"""Compiles kernels and the runner, with the sanitizers' calls, into the user's cache."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rusty_py.checker import tools
from rusty_py.checker.cpp import COMMON_HEAD, COMMON_HEADER, cpp, parameters
from rusty_py.checker.translate import EntryPoint
from rusty_py.errors import ToolError

COMPILE_SECONDS = 120
MAX_KEPT = 3000
"""Programs in the cache; of more, the ones unused for longest go."""

_SOURCES = Path(__file__).parent

_COMMON = ("-std=c++17", "-fPIC", "-U_FORTIFY_SOURCE", "-w")
_RUNTIME = (*_COMMON, "-O2")
_KERNEL = (
    *_COMMON,
    "-O1",
    "-gline-tables-only",
    "-fvisibility=hidden",
    "-fdeclspec",  # For swizzles, which are properties.
    "-ffp-contract=off",
    "-fno-math-errno",
    "-Xclang",
    "-cl-single-precision-constant",
    # Every access of memory calls the runtime; none may be wider than it knows.
    "-fsanitize=thread",
    "-mllvm",
    "-tsan-instrument-read-before-write=1",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    # What two branches do alike stays two, each on its own line.
    "-mllvm",
    "-hoist-common-insts=0",
    "-mllvm",
    "-sink-common-insts=0",
    "-mllvm",
    "-enable-tail-merge=0",
    "-fno-exceptions",
    # And so does what C++ leaves undefined. Indices are checked by the stand-in's arrays.
    "-fsanitize=signed-integer-overflow,integer-divide-by-zero,shift-exponent,float-cast-overflow",
    "-fsanitize=alignment,bool,unreachable,return",
    # Large frames meet the guard below their stack, not the stack of another thread.
    "-fstack-clash-protection",
)
_HEADER = (
    *("-x", "c++-header"),
    # Templates are instantiated here, not again for each kernel, which took a quarter of a small one's time.
    "-fpch-instantiate-templates",
    # Without the times of the files: the name is a digest of their contents.
    *("-Xclang", "-fno-pch-timestamp"),
)
# Without what the runner is linked to already: reading libc and libstdc++ takes longer than most kernels.
_LINK = (
    "-shared",
    "-nostdlib",
    *(f"-Wl,--wrap={name}" for name in ("memset", "memcpy", "memmove")),
    "-lm",
    "-lgcc",
)

_ABANDONED_SECONDS = 3600
_pruning = threading.Lock()


class RefusedText(Exception):
    """The Metal text is no C++ to clang: why, and in which line of it."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True)
class Program:
    """A compiled kernel, and the names of the variables it is given, in Metal's spelling."""

    library: Path
    variables: tuple[str, ...]
    uses_subgroups: bool


def build(msl: str, entry: EntryPoint) -> Program:
    """The program of an entry point. Raises RefusedText where the text is no C++, ToolError."""
    source = cpp(msl, entry)
    return Program(
        library=_made(f"{_digest(source)}.so", lambda to: _compile(source, to)),
        variables=tuple(each.name for each in parameters(msl, entry) if each.space),
        uses_subgroups=bool(re.search(r"\b(simd_|quad_|simdgroup)|_simdgroup\b", msl)),
    )


def runner() -> Path:
    """The program that runs kernels, compiled on first use. Raises ToolError."""
    sources = sorted((_SOURCES / "runtime").glob("*.cc"))

    def link(to: Path) -> None:
        arguments = [*_RUNTIME, "-rdynamic", *map(str, sources), "-o", str(to), "-ldl"]
        _clang(arguments, "the checker's runtime")

    return _made(f"run-{_digest('')}", link)


def _compile(source: str, to: Path) -> None:
    text = to.with_suffix(".cc")
    text.write_text(source, encoding="utf-8")
    arguments = [*_kernel_flags(), str(text), "-o", str(to), *_LINK]
    if source.startswith(COMMON_HEAD):
        _clang_with_header(arguments, "the kernel's Metal text")
    else:
        _clang(arguments, "the kernel's Metal text")


def _kernel_flags() -> list[str]:
    f16 = ["-mf16c"] if platform.machine() == "x86_64" else []
    return [*_KERNEL, *f16, f"-I{_SOURCES / 'metal'}"]


def _precompiled_header() -> Path:
    """`COMMON_HEADER`, which takes clang longer than most kernels do. A copy elsewhere has its own."""
    header = _SOURCES / "metal" / COMMON_HEADER
    flags = [*_kernel_flags(), *_HEADER]
    name = f"{_digest(str(header))}.pch"
    return _made(name, lambda to: _clang([*flags, str(header), "-o", str(to)], "the checker's headers"))


def _clang_with_header(arguments: Sequence[str], what: str) -> None:
    """As `_clang`, with the precompiled header, compiled once more where the cache held a broken one."""
    header = _precompiled_header()
    try:
        _clang(["-include-pch", str(header), *arguments], what)
    except ToolError as error:
        if isinstance(error.__cause__, subprocess.TimeoutExpired):
            raise
        header.unlink(missing_ok=True)
        _clang(["-include-pch", str(_precompiled_header()), *arguments], what)


def _clang(arguments: Sequence[str], what: str) -> None:
    """Raises RefusedText where a line of the kernel is at fault, and else ToolError."""
    command = [str(tools.clang()), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"check: clang took longer than {COMPILE_SECONDS} s over {what}") from error
    if done.returncode:
        if found := re.search(r"kernel\.metal:(\d+):\d+: error: (.*)", done.stderr):
            raise RefusedText(found[2], int(found[1]))
        first = next((line for line in done.stderr.split("\n") if "error:" in line), done.stderr[-500:])
        why = first.strip() or f"exit status {done.returncode}: is the disk full?"
        raise ToolError(f"check: clang refuses {what}: {why}")


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """A file of the cache, made where it is not there: aside, and then put in its place whole."""
    folder = tools.cache_folder() / "programs"
    path = folder / name
    try:
        if path.exists():
            with suppress(OSError):  # Others may have filled the cache, for us to read.
                os.utime(path)  # Used today.
            return path
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            aside = Path(scratch) / name
            make(aside)
            aside.replace(path)
        _forget_old(folder)
    except OSError as error:
        raise ToolError(
            f"check: its cache cannot be written: {path}: {error.strerror}: set XDG_CACHE_HOME"
        ) from error
    return path


def _forget_old(folder: Path) -> None:
    """Also what processes left that were killed while they compiled."""
    with _pruning:
        programs = [each for each in folder.iterdir() if not each.is_dir()]
        for path in sorted(programs, key=_used)[:-MAX_KEPT]:
            path.unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.is_dir() and time.time() - _used(path) > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _used(path: Path) -> float:
    """When; 0 where another process has removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0


def _digest(text: str) -> str:
    return hashlib.sha256(f"{_tools_digest()}\n{text}".encode()).hexdigest()[:24]


@cache
def _tools_digest() -> str:
    """Of all that a program depends on beside its text."""
    files = [path for part in ("metal", "runtime") for path in sorted((_SOURCES / part).rglob("*"))]
    version = subprocess.run([str(tools.clang()), "--version"], capture_output=True).stdout
    flags = repr((_KERNEL, _HEADER, _LINK, _RUNTIME)).encode()
    contents = [path.read_bytes() for path in files if path.is_file()]
    return hashlib.sha256(b"\n".join([version, flags, *contents])).hexdigest()
