"""Starts the measuring process, reads its reports, and ends it when it is silent for too long."""

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from rusty_py import errors
from rusty_py.bench.context import invocation, system
from rusty_py.bench.report import json as document
from rusty_py.bench.report.files import FileError
from rusty_py.bench.user_kernel.job import KernelJob
from rusty_py.errors import DeviceError, RustyError
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Row, Verdict

COMMAND = (sys.executable, "-m", "rusty_py.bench.user_kernel.child")
START_S = 120.0
_KILL_S = 5.0


class KernelFailure(Exception):
    """The kernel did not end in time, or ended the process."""

    def __init__(self, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.verdict = verdict


def measure(
    job: KernelJob,
    *,
    ready: Callable[[dict[str, object]], None],
    progress: Callable[[str], None],
    command: Sequence[str] = COMMAND,
) -> BenchRun:
    """The results of the job. `ready` gets the context as soon as there is a device.

    Raises KernelFailure, and the errors that the measuring process reports.
    """
    with tempfile.TemporaryFile() as talk:
        # A separate session: signals go to this process, which ends the child.
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk, start_new_session=True
        )
        try:
            _send(child, job)
            stage = "starting"
            for event in _events(child):
                kind = event["event"]
                if kind == "ready":
                    ready(event["context"])
                elif kind == "stage":
                    stage = event["stage"]
                    progress(f"{job.name}: {stage}")
                elif kind == "error":
                    raise _error(event)
                elif kind == "result":
                    return document.parse(event["document"])
                elif kind == "silent":
                    raise _timeout(job, stage, event["limit_s"])
        finally:
            _end(child)
        raise _crash(job, stage, child.returncode, talk)


def failed(job: KernelJob, failure: KernelFailure, context: Mapping[str, object]) -> BenchRun:
    """The result of a job whose process did not answer. `context` is empty if it had no device yet."""
    known = context or {**invocation(), **job.facts, **system()}
    result = Result(job.name, failure.verdict, reason=str(failure))
    return BenchRun("run", known, [Row(BenchProblem("run", job.problem), (result,))])


def _timeout(job: KernelJob, stage: str, limit_s: float) -> KernelFailure:
    runs_kernel = limit_s == job.time_limit_s
    way_out = "; an endless loop? For a longer limit use --time-limit" if runs_kernel else ""
    return KernelFailure("timeout", f"{stage}: no answer within {limit_s:g} s{way_out}")


def _crash(job: KernelJob, stage: str, status: int, talk: IO[bytes]) -> Exception:
    """A process that ended without a result: by a signal it is the kernel's fault, else ours."""
    talk.seek(0)
    words = talk.read().decode(errors="replace").strip()
    if status >= 0:
        return RuntimeError(f"the measuring process ended with status {status}: {words}")
    with suppress(ValueError):
        words = f"{signal.Signals(-status).name}{': ' * bool(words)}{words.rpartition(chr(10))[2][-200:]}"
    return KernelFailure("crash", f"{stage}: the measuring process ended with status {status}: {words}")


def _error(event: dict[str, Any]) -> RustyError:
    kind = FileError if event["kind"] == FileError.__name__ else getattr(errors, event["kind"], DeviceError)
    error: RustyError = kind(event["message"])
    return error


def _send(child: "subprocess.Popen[bytes]", job: KernelJob) -> None:
    assert child.stdin
    with suppress(BrokenPipeError):  # The child has exited; its status tells why.
        child.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        child.stdin.flush()  # Stays open: the child exits when it is closed.


def _events(child: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """The child's reports, and "silent" if the next one does not come in time."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        assert child.stdout
        with suppress(OSError, ValueError):  # Closed by the other thread.
            for line in child.stdout:
                lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    limit_s = START_S
    while True:
        try:
            line = lines.get(timeout=limit_s)
        except queue.Empty:
            yield {"event": "silent", "limit_s": limit_s}
            return
        if not line:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_KILL_S)
            return
        with suppress(ValueError):  # Ignore what drivers print to standard output.
            event = json.loads(line)
            if isinstance(event, dict) and "next_s" in event:
                limit_s = event["next_s"]
                yield event


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    with suppress(subprocess.TimeoutExpired):  # A driver may hold a dead process until its GPU is reset.
        child.wait(timeout=_KILL_S)
    for stream in (child.stdin, child.stdout):
        if stream:
            with suppress(OSError):
                stream.close()
