"""Runs the measuring process of the tuner, reads its reports, and handles crashes and hangs."""

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

COMMAND = (sys.executable, "-m", "rusty_py.tune.trials")


@dataclass(frozen=True)
class Final:
    """The winner against the default: the `ratio` of their times, paired by round, with its 95 % interval."""

    at: int
    gflops: float
    default_gflops: float
    ratio: float
    low: float
    high: float
    rounds: int


@dataclass
class Reports:
    """The reports of all children, by candidate. `killers`: those that hung or crashed a child, and how."""

    rates: dict[int, float] = field(default_factory=dict)
    out: dict[int, str] = field(default_factory=dict)
    killers: dict[int, str] = field(default_factory=dict)
    final: Final | None = None
    failure: str = ""
    clock: str = ""


@dataclass(frozen=True)
class TuneJob:
    """The job of a child: the adapter, the arguments of `problem_of`, and the plans as plain data.

    A child that reports nothing for `silence_s` is treated as hung.
    """

    adapter: int
    problem: dict[str, Any]
    plans: Sequence[dict[str, Any]]
    silence_s: float
    seed: int = 0


def measure(job: TuneJob, *, max_time_s: float, command: Sequence[str] = COMMAND) -> Reports:
    """Runs children until one finishes, all candidates are done, or the time is up."""
    reports = Reports()
    deadline = time.monotonic() + max_time_s
    left = list(range(len(job.plans)))
    while True:
        trying = _one_child(job, left, reports, deadline=deadline, command=command)
        if trying is None:
            return reports
        at, why = trying
        reports.killers[at] = why
        best = max(reports.rates.values(), default=0.0)
        # Of the candidates measured so far, only those near the best are measured again.
        left = [
            each
            for each in left
            if each not in reports.killers
            and each not in reports.out
            and (each == 0 or reports.rates.get(each, best) > 0.9 * best)
        ]
        if at == 0 or len(left) < 2 or time.monotonic() + 0.2 * max_time_s > deadline:
            return reports


def _one_child(
    job: TuneJob, left: Sequence[int], reports: Reports, *, deadline: float, command: Sequence[str]
) -> tuple[int, str] | None:
    """Runs a child for the remaining candidates; returns the one that crashed or hung it, and how."""
    order = {
        "adapter": job.adapter,
        "problem": job.problem,
        "plans": [job.plans[at] for at in left],
        # Wall-clock time, so that the start of the child is included.
        "until": time.time() + 0.9 * (deadline - time.monotonic()),
        "seed": job.seed,
    }
    trying: int | None = None
    with tempfile.TemporaryFile() as talk:
        # A separate session: signals go to this process, which ends the child.
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk, start_new_session=True
        )
        try:
            _send(child, order)
            for event in _events(child, silence_s=job.silence_s, deadline=deadline):
                kind = event.get("event")
                if kind == "trying":
                    trying = left[event["at"]]
                elif kind == "hangs":
                    return None if trying is None else (trying, "the measuring process hung")
                elif kind in ("time", "end"):
                    return None
                else:
                    _note(event, left, reports)
                    trying = None if kind in ("rate", "out") else trying
        finally:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    with suppress(OSError):
                        stream.close()
        talk.seek(0)
        words = talk.read().decode(errors="replace").strip().rpartition("\n")[2][-200:]
    ending = f"the measuring process ended with status {child.returncode}{': ' * bool(words)}{words}"
    if trying is None:
        reports.failure = reports.failure or ending
        return None
    return trying, ending


def _note(event: dict[str, Any], left: Sequence[int], reports: Reports) -> None:
    kind = event.get("event")
    if kind == "rate":
        reports.rates[left[event["at"]]] = event["gflops"]
    elif kind == "out":
        reports.out[left[event["at"]]] = event["why"]
    elif kind == "final":
        names = ("gflops", "default_gflops", "ratio", "low", "high", "rounds")
        reports.final = Final(left[event["at"]], **{name: event[name] for name in names})
    elif kind == "failed":
        reports.failure = event["why"]
    elif kind == "begun":
        reports.clock = event.get("clock", reports.clock)


def _send(child: "subprocess.Popen[bytes]", order: dict[str, Any]) -> None:
    assert child.stdin
    with suppress(BrokenPipeError):  # The child has exited; its reports tell why.
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()  # Stays open: the child exits when it is closed.


def _events(
    child: "subprocess.Popen[bytes]", *, silence_s: float, deadline: float
) -> Iterator[dict[str, Any]]:
    """The child's reports, and "time" at the deadline or "hangs" after a long silence."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        assert child.stdout
        with suppress(OSError, ValueError):  # Closed by the other thread.
            for line in child.stdout:
                lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while True:
        left_s = deadline - time.monotonic()
        try:
            line = lines.get(timeout=max(0.0, min(silence_s, left_s)))
        except queue.Empty:
            yield {"event": "time" if left_s < silence_s else "hangs"}
            return
        if not line:
            child.wait()
            return
        with suppress(ValueError):  # Ignore what drivers print to standard output.
            event = json.loads(line)
            if isinstance(event, dict):
                yield event
