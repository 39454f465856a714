"""Processes of Python, forked from one that has imported everything: half a second less for each.

`run` is what the tests call, on Linux alone: elsewhere what the GPU needs, once loaded, survives no fork.
As a program this file is what forks. It makes no device and starts no thread; its child is a process like
any other, with a session, an environment, streams and a `__main__` of its own, and an interpreter that ends
as usual.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import rusty_py
from rusty_py.runtime.capi import types

POSSIBLE = sys.platform == "linux"

# With all of rusty_py's modules.
_IMPORTED = (
    *("jsonschema", "multiprocessing.spawn", "numpy", "numpy.ma", "numpy.random", "platformdirs", "psutil"),
    *("pydantic.plugin._loader", "pydantic.types", "rich.console", "rich.progress", "tabulate"),
    *("tests.ops.products", "threadpoolctl", "typer._adapters", "typer._click.decorators", "zoneinfo"),
    *("wgpu.backends.auto", "wgpu.utils.compute", "wgpu.utils.device"),
)
_LARGEST = 60_000
_NUMBER = 8  # Bytes of a number on a pipe.


class Request(NamedTuple):
    """What a process shall be: it runs `code` or, without it, the file argv[0]."""

    code: str | None
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str


class Ended(NamedTuple):
    """How a process ended; the code is negative for the number of a signal, as subprocess has it."""

    code: int
    out: bytes
    err: bytes


def run(request: Request, *, patience_s: float, stdout: int | None = None) -> Ended:
    """Runs a process to its end, and to that of all that write where it wrote.

    It writes its output to the descriptor `stdout`, if there is one.

    Raises subprocess.TimeoutExpired, after it and all processes of its session were killed.
    """
    pipes = [os.pipe() for _ in range(3)]
    said = {read: b"" for read, _ in pipes}
    told = pipes[2][0]
    deadline = time.monotonic() + patience_s
    try:
        try:
            out, err, tell = (write for _, write in pipes)
            descriptors = [out if stdout is None else stdout, err, tell]
            socket.send_fds(_server(), [json.dumps(request).encode()], descriptors)
        finally:
            for _, write in pipes:
                os.close(write)
        reading = set(said)
        while reading:
            ready, _, _ = select.select(list(reading), [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(list(request.argv), patience_s)
            for read in ready:
                some = os.read(read, 1 << 16)
                said[read] += some
                if not some:
                    reading.discard(read)
    except BaseException:
        if said[told]:
            os.killpg(_number(said[told][:_NUMBER]), signal.SIGKILL)
        raise
    finally:
        for read, _ in pipes:
            os.close(read)
    output, errors, numbers = said.values()
    assert len(numbers) == 2 * _NUMBER, "the process that forks the tests' is gone"
    return Ended(_number(numbers[_NUMBER:]), output, errors)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def fits(code: str | None) -> bool:
    """Whether a request may hold `code`."""
    return len(code or "") < _LARGEST


@cache
def _server() -> socket.socket:
    """What the process that forks reads requests from; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * _LARGEST)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(its.fileno())],
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    atexit.register(lambda: (ours.close(), process.wait()))
    return ours


def _become_asked_for(requests: socket.socket) -> Request:
    """Forks for each request, and returns in the process that it asks for. Ends with the last."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The processes that wait for a child leave no zombies.
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, 8 * _LARGEST, 3)
        if not data:
            os._exit(0)
        if not os.fork():
            break
        for descriptor in descriptors:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    out, err, tell = descriptors
    child = os.fork()
    if child:
        os.write(tell, child.to_bytes(_NUMBER, "little", signed=True))
        os.close(out)
        os.close(err)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(BrokenPipeError):  # The reader has closed it after a timeout.
            os.write(tell, code.to_bytes(_NUMBER, "little", signed=True))
        os._exit(0)
    os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    return Request(*json.loads(data))


def _streams() -> None:
    """Standard output and error as Python makes them in UTF-8 mode, where they are pipes."""
    out = io.BufferedWriter(io.FileIO(1, "w", closefd=False))
    err = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(out, "utf-8", "surrogateescape")
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(err, "utf-8", "backslashreplace", line_buffering=True)


def _modules_of(package: ModuleType) -> Iterator[str]:
    """Its modules, without those that run when they are imported."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            yield module.name


def _main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    for name in (*_IMPORTED, *_modules_of(rusty_py)):
        importlib.import_module(name)
    types()
    # Collections in a child, of which the last is at its end, would copy every page with an object on it.
    gc.collect()
    gc.freeze()
    request = _become_asked_for(requests)
    _streams()
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    os.chdir(request.cwd)
    main = sys.modules["__main__"] = ModuleType("__main__")
    code, name = request.code, "<string>"
    sys.argv[:] = list(request.argv)
    sys.path[0] = ""
    if code is None:
        name = sys.argv[0]
        main.__file__, sys.path[0] = name, str(Path(name).parent)
        code = Path(name).read_text(encoding="utf-8")
    exec(compile(code, name, "exec"), main.__dict__)


if __name__ == "__main__":
    _main()
