"""The process of one peer: tasks come in on standard input, a line of JSON each, and so go the answers.

`python -m benchmarks.peers.child NAME`; whatever the peer itself prints goes to standard error.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from benchmarks.peers.contestant import Peer, Unavailable, sample
from benchmarks.peers.problems import Problem, operands
from benchmarks.peers.proof import WrongProduct, prove
from benchmarks.peers.roster import ROSTER, Entry


@dataclass(frozen=True)
class Task:
    """One visit: what to multiply, and how long to time it."""

    problem: Problem
    dtype: str
    seed: tuple[int, ...]
    samples: int
    at_least_s: float

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, line: str) -> "Task":
        fields = json.loads(line)
        return cls(**{**fields, "problem": Problem(**fields["problem"]), "seed": tuple(fields["seed"])})


@dataclass(frozen=True)
class Answer:
    """The part of a Record that the peer's process knows, and what the peer is."""

    clock: str = ""
    calls: int = 0
    samples_s: tuple[float, ...] = ()
    error: float | None = None
    sums: str = ""
    failure: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, line: str) -> "Answer":
        fields = json.loads(line)
        return cls(**{**fields, "samples_s": tuple(fields["samples_s"])})


def main(name: str) -> None:
    """Answers tasks until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    entry = ROSTER[name]
    peer: Peer | None = None
    for line in sys.stdin:
        try:
            peer = peer or import_module(f"benchmarks.peers.{entry.module}").start(entry.variant)
            answer = measured(entry, peer, Task.loads(line))
        except (Unavailable, WrongProduct) as error:
            answer = Answer(failure=str(error))
        except Exception as error:  # Whatever a peer may raise is why it has no figure.
            traceback.print_exc()
            answer = Answer(failure=f"{type(error).__name__}: {error}")
        print(answer.dumps(), file=answers, flush=True)


def measured(entry: Entry, peer: Peer, task: Task) -> Answer:
    """Verifies the peer's product, then times it."""
    a, b = operands(task.problem, dtype=task.dtype, seed=task.seed)
    product = peer.product(a, b)
    proof = prove(a, b, product.result())
    calls, samples_s = sample(product, at_least_s=task.at_least_s, samples=task.samples)
    about = {**peer.about(), **_versions(entry)}
    return Answer(product.clock, calls, tuple(samples_s), proof.error, proof.sums, about=about)


def _versions(entry: Entry) -> dict[str, str]:
    found = {}
    for package in entry.packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "of unknown version"
    return found


if __name__ == "__main__":
    main(sys.argv[1])
