"""A benchmark's suite and what comes of it: a `BenchRun`, which is data, and which JSON reads and writes.

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
    """A case that was measured, or found wrong.

    `stats` are nanoseconds of one run by the run's clock, `gflops` the rate at their median, and
    `roof_gflops` what the measured ceilings allow this problem. A wrong or rejected case has no rate.
    `stopped` says why sampling ended, `reason` what a wrong or rejected case did.
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
    """NumPy's times for a problem, on the host of this machine."""

    problem: BenchProblem
    samples_ns: tuple[float, ...]


@dataclass(frozen=True)
class Ceilings:
    """What our own kernels reach: arithmetic, copies and reads by working set, an empty launch.

    Files from before reads were measured have no `read_gbps`: the copy's rate then stands for both.
    """

    fma_gflops: float
    copy_gbps: Mapping[int, float]
    launch_ns: float
    read_gbps: Mapping[int, float] = field(default_factory=dict)

    def arithmetic_gflops(self, problem: BenchProblem) -> float:
        """The rate that arithmetic allows the problem."""
        return self.fma_gflops * guard.PACKED.get(problem.sums, 1)

    def memory_gflops(self, problem: BenchProblem) -> float:
        """The rate that memory allows the problem; infinite where its working set was not measured."""
        copy_gbps = self.copy_gbps.get(problem.bytes, math.inf)
        min_ns = guard.memory_ns(
            copy_gbps=copy_gbps,
            read_gbps=self.read_gbps.get(problem.bytes, copy_gbps),
            read_bytes=problem.bytes - problem.written_bytes,
            written_bytes=problem.written_bytes,
        )
        return problem.flops / min_ns if min_ns else math.inf

    def roofline_gflops(self, problem: BenchProblem) -> float:
        """The lower of the two."""
        return min(self.arithmetic_gflops(problem), self.memory_gflops(problem))


@dataclass
class BenchRun:
    """One benchmark, as far as it got.

    `interrupted` by Ctrl-C or another signal, or ended by a `failure` of the device. `anchors_ns` is the
    anchor kernel's time, round by round.
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
    """A problem on a device: inputs and references, made once for all its kernels."""

    def work(self, case: Case) -> Work:
        """The case, ready to run. Raises LimitError where the device has no room for it."""

    def baseline(self) -> Callable[[], object]:
        """The same computation in NumPy."""


class Suite(Protocol):
    """An operation to be measured."""

    def cases(self) -> list[Case]:
        """Every case, those of one problem together, small problems first."""

    def setup(self, problem: BenchProblem, device: Device, rng: np.random.Generator) -> Setup:
        """Makes a problem's inputs and references."""
