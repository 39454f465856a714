"""Suites, and their results: a `BenchRun`, which is data that is stored as JSON.

Every report is a function of a `BenchRun`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from rusty_py.measure import guard
from rusty_py.measure.case import BenchProblem, Case, Timed, Verification, Work
from rusty_py.measure.stats import Summary
from rusty_py.runtime.device import Device

Verdict = Literal["ok", "wrong", "rejected"]


@dataclass(frozen=True)
class Result:
    """A case that was measured or found wrong.

    `stats` are nanoseconds per run by the clock of the run, `gflops` the rate at the median, `roof_gflops`
    the measured roofline for this problem. A wrong or rejected case has no rate. `stopped` says why sampling
    ended, `reason` why a case is wrong or rejected.
    """

    case: Case
    verdict: Verdict
    proof: Verification
    samples: tuple[Timed, ...] = ()
    stats: Summary | None = None
    gflops: float | None = None
    roof_gflops: float | None = None
    stopped: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Skipped:
    """A case that was not measured, and why."""

    case: Case
    reason: str


@dataclass(frozen=True)
class Baseline:
    """NumPy's times for a problem, on the host."""

    problem: BenchProblem
    samples_ns: tuple[float, ...]


@dataclass(frozen=True)
class Ceilings:
    """Measured ceilings: arithmetic, copy and read bandwidth by working set, launch overhead.

    Older files have no `read_gbps`; then the copy bandwidth is used for both.
    """

    fma_gflops: float
    copy_gbps: Mapping[int, float]
    launch_ns: float
    read_gbps: Mapping[int, float] = field(default_factory=dict)

    def arithmetic_gflops(self, problem: BenchProblem) -> float:
        """The rate limit by arithmetic."""
        return self.fma_gflops * guard.PACKED.get(problem.sums, 1)

    def memory_gflops(self, problem: BenchProblem) -> float:
        """The rate limit by memory bandwidth; infinite if it was not measured for this working set."""
        copy_gbps = self.copy_gbps.get(problem.bytes, math.inf)
        min_ns = guard.memory_ns(
            copy_gbps=copy_gbps,
            read_gbps=self.read_gbps.get(problem.bytes, copy_gbps),
            read_bytes=problem.bytes - problem.written_bytes,
            written_bytes=problem.written_bytes,
        )
        return problem.flops / min_ns if min_ns else math.inf

    def roofline_gflops(self, problem: BenchProblem) -> float:
        """The roofline: the lower of the two limits."""
        return min(self.arithmetic_gflops(problem), self.memory_gflops(problem))


@dataclass
class BenchRun:
    """One benchmark run, possibly `interrupted` by a signal or ended by a `failure` of the device.

    `anchors_ns` are the times of the drift control kernel, by round.
    """

    context: Mapping[str, object]
    clock: Literal["gpu", "wall"]
    clock_reason: str
    ceilings: Ceilings
    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    anchors_ns: list[float] = field(default_factory=list)
    peak_gflops: float | None = None
    interrupted: bool = False
    failure: str = ""
    schema_version: Literal[1] = 1


class Setup(Protocol):
    """A problem on a device: inputs and references, shared by all its kernels."""

    def work(self, case: Case) -> Work:
        """The case, ready to run. Raises LimitError if it exceeds the device's limits."""

    def baseline(self) -> Callable[[], object]:
        """The same computation in NumPy."""


class Suite(Protocol):
    """The cases of an operation."""

    def cases(self) -> list[Case]:
        """All cases, grouped by problem, small problems first."""

    def setup(self, problem: BenchProblem, device: Device, rng: np.random.Generator) -> Setup:
        """Creates the inputs and references of a problem."""
