"""Runs the measuring process of the tuner, reads its reports, and handles crashes and hangs."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rusty_py.measure.child_process import child_process

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
    with child_process(command, order) as child:
        for event in child.events(silence_s=job.silence_s, deadline=deadline):
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
        ending = child.ending()
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
