"""The result document of every measuring command: plain data, stored as JSON (schema 2).

A `BenchRun` has rows, one for each problem; a row has results, one for each implementation.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rusty_py.measure import guard
from rusty_py.measure.stats import Summary

Verdict = Literal["ok", "wrong", "rejected", "timeout", "crash", "skipped"]
"""Rejected: faster than the roofline. Timeout, crash: a kernel of the user that ended or lost its process."""

ClockName = Literal["gpu", "wall", "cpu"]
"""GPU timestamps, the wall clock, or the CPU time of the calling thread."""

Scope = Literal["kernel", "host", "end to end"]
"""What a sample covers: kernels on data of the device, work of the host, or NumPy arrays in and out."""


@dataclass(frozen=True)
class BenchProblem:
    """A computation, independent of the implementation.

    `axes` are its sizes, `options` what else distinguishes it, such as the layout of matrices. `flops` and
    the bytes are per run; the bytes are the minimum memory traffic.
    """

    operation: str
    name: str
    axes: Mapping[str, int] = field(default_factory=dict)
    dtype: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    flops: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    @property
    def nbytes(self) -> int:
        """All bytes that must move."""
        return self.read_bytes + self.written_bytes


@dataclass(frozen=True)
class Verification:
    """The method and outcome of a verification.

    `error` is the maximum error relative to float64 as a fraction of the rounding bound, `relative_error` the
    Frobenius norm of the error over that of the result, both over the elements compared with float64; None
    if the result is not finite or not compared with a bound. `fault` describes the failure; empty if the
    result is correct.
    """

    method: str
    error: float | None = None
    relative_error: float | None = None
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.fault


@dataclass(frozen=True)
class Timed:
    """One sample of several runs. A clock is None if it was not read, or was rejected: `fault` says why."""

    wall_ns: float | None = None
    gpu_ns: float | None = None
    cpu_ns: float | None = None
    fault: str = ""

    def ns(self, clock: ClockName) -> float:
        """The time by the named clock; by the wall clock where the GPU's is missing."""
        gpu_or_wall = self.wall_ns if self.gpu_ns is None else self.gpu_ns
        ns = {"gpu": gpu_or_wall, "wall": self.wall_ns, "cpu": self.cpu_ns}[clock]
        if ns is None:
            raise ValueError(f"sample: no time by the {clock} clock: {self}")
        return ns


@dataclass(frozen=True)
class Samples:
    """Samples of `runs` runs each, in columns. In each round every implementation of a row is sampled once.

    A column is empty if its clock was not read; `faults` says why GPU timestamps are missing.
    """

    runs: int = 1
    rounds: tuple[int, ...] = ()
    wall_ns: tuple[float, ...] = ()
    gpu_ns: tuple[float | None, ...] = ()
    cpu_ns: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rounds)

    def ns(self, clock: ClockName) -> list[float]:
        """The time of a run by the named clock, sample by sample."""
        return [each.ns(clock) / self.runs for each in self.each()]

    def by_round(self, clock: ClockName) -> dict[int, float]:
        """The time of a run by the named clock in each round."""
        return dict(zip(self.rounds, self.ns(clock), strict=True))

    def each(self) -> list[Timed]:
        """The samples, one by one."""
        columns = (self.wall_ns, self.gpu_ns, self.cpu_ns, self.faults)
        blanks = (None, None, None, "")
        filled = [column or (blank,) * len(self) for column, blank in zip(columns, blanks, strict=True)]
        return [Timed(*values) for values in zip(*filled, strict=True)]


def in_columns(runs: int, rounds: Sequence[int], timed: Sequence[Timed]) -> Samples:
    """The samples as columns, those without a value empty."""

    def column(name: str) -> tuple[Any, ...]:
        values = tuple(getattr(each, name) for each in timed)
        return values if any(value not in (None, "") for value in values) else ()

    return Samples(
        runs,
        tuple(rounds),
        wall_ns=column("wall_ns"),
        gpu_ns=column("gpu_ns"),
        cpu_ns=column("cpu_ns"),
        faults=column("fault"),
    )


@dataclass(frozen=True)
class Figure:
    """A derived or counted quantity of a result, with its unit."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Result:
    """One implementation in a row.

    `kernel` names the kernels in sequence, `sha256` is the hash of their concatenated WGSL, `plan` the
    selection and its reason; all are empty for code that is not ours. `stats` are nanoseconds per run by
    `clock`. A result that is not ok has no statistics and no figures, but a `reason`.
    """

    by: str
    verdict: Verdict
    clock: ClockName = "wall"
    scope: Scope = "kernel"
    verification: Verification | None = None
    kernel: str = ""
    sha256: str = ""
    plan: str = ""
    samples: Samples = Samples()
    stats: Summary | None = None
    figures: tuple[Figure, ...] = ()
    reason: str = ""

    @property
    def ns(self) -> float | None:
        """The median time of a run."""
        return self.stats.median if self.stats else None

    @property
    def samples_ns(self) -> list[float]:
        """The time of a run, sample by sample."""
        return self.samples.ns(self.clock)

    def figure(self, name: str) -> float | None:
        """The value of the figure with this name."""
        return next((each.value for each in self.figures if each.name == name), None)


@dataclass(frozen=True)
class Row:
    """A problem and its results, sampled in the same rounds unless a result says otherwise.

    `reference` names the result that the others are compared with. `stopped` says why sampling ended. `seed`
    is a published time for a similar task with its device, for orientation only.
    """

    problem: BenchProblem
    results: tuple[Result, ...]
    reference: str = ""
    stopped: str = ""
    seed: str = ""

    def result(self, by: str) -> Result | None:
        """The result of the implementation `by`."""
        return next((each for each in self.results if each.by == by), None)

    def ns(self, by: str) -> float | None:
        """The median time of the implementation `by`."""
        found = self.result(by)
        return found.ns if found else None

    def ratio(self, slower: str, faster: str) -> float | None:
        """The ratio of the median times of `slower` and `faster`."""
        slow, fast = self.ns(slower), self.ns(faster)
        return slow / fast if slow and fast else None


@dataclass(frozen=True)
class Ceilings:
    """Measured ceilings: arithmetic, copy and read bandwidth by working set in bytes, launch overhead.

    Without `read_gbps` the copy bandwidth is used for both.
    """

    fma_gflops: float
    copy_gbps: Mapping[int, float]
    launch_ns: float
    read_gbps: Mapping[int, float] = field(default_factory=dict)

    def arithmetic_ns(self, problem: BenchProblem) -> float:
        """The minimum time for the arithmetic of a problem."""
        packed = guard.PACKED.get(problem.options.get("accumulate_dtype", "f32"), 1)
        return problem.flops / (self.fma_gflops * packed)

    def memory_ns(self, problem: BenchProblem) -> float:
        """The minimum time for its memory traffic; 0 if bandwidth was not measured for this working set."""
        copy_gbps = self.copy_gbps.get(problem.nbytes, math.inf)
        return guard.memory_ns(
            copy_gbps=copy_gbps,
            read_gbps=self.read_gbps.get(problem.nbytes, copy_gbps),
            read_bytes=problem.read_bytes,
            written_bytes=problem.written_bytes,
        )

    def minimum_ns(self, problem: BenchProblem) -> float:
        """The roofline: the longer of the two times."""
        return max(self.arithmetic_ns(problem), self.memory_ns(problem))


@dataclass
class BenchRun:
    """One run of a command, possibly `interrupted` by a signal or ended by a `failure` of the device.

    `clock` is that of kernels, with the reason for it. `drift_control_ns` are the times of the drift control
    kernel, by round.
    """

    command: str
    context: Mapping[str, object]
    rows: list[Row] = field(default_factory=list)
    clock: ClockName = "wall"
    clock_reason: str = ""
    ceilings: Ceilings | None = None
    drift_control_ns: list[float] = field(default_factory=list)
    peak_gflops: float | None = None
    interrupted: bool = False
    failure: str = ""
    schema_version: Literal[2] = 2

    def row(self, name: str) -> Row | None:
        """The row of the problem with this name."""
        return next((row for row in self.rows if row.problem.name == name), None)

    def results(self) -> Iterable[tuple[Row, Result]]:
        """Every result, with its row."""
        return [(row, result) for row in self.rows for result in row.results]


def skipped_row(
    problem: BenchProblem, reason: str, *, by: Iterable[str] = ("ours",), clock: ClockName = "wall"
) -> Row:
    """A row without a measurement."""
    return Row(problem, tuple(Result(each, "skipped", clock, reason=reason) for each in by))
