"""What the benchmark passes around: cases in, a `Run` out. All of it is data, and JSON reads and writes it.

Every report is a function of a `Run`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from rusty_py.bench.stats import Summary
from rusty_py.device import Device
from rusty_py.kernel import Launch

Verdict = Literal["ok", "wrong", "rejected"]


@dataclass(frozen=True)
class Problem:
    """What is computed, by whichever kernel. `bytes` is the least that must be moved.

    Of a matrix product, `layout` says how its operands lie, n row by row and t transposed, and `sums` is the
    dtype of its sums.
    """

    suite: str
    name: str
    axes: Mapping[str, int]
    dtype: str
    flops: int
    bytes: int
    layout: str = "nn"
    sums: str = "f32"


@dataclass(frozen=True)
class Case:
    """One kernel on one problem. `variant` names it in tables; `sha256` is that of its WGSL text.

    Where the device chooses the kernel, `plan` says in a line what it chose and why; until then `kernel` and
    `sha256` are empty. Of several kernels in turn, `kernel` names each, and `sha256` is that of their texts,
    one behind the other.
    """

    problem: Problem
    variant: str
    kernel: str
    sha256: str
    plan: str = ""


@dataclass(frozen=True)
class Proof:
    """What was checked, and what came out.

    `error` is the largest distance from float64 as a fraction of the bound, `relative_error` the
    Frobenius norm of the distance over that of the result, both over the elements compared with float64;
    None where the result held no number. `fault` says what is wrong; empty where all is right.
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
    """A sample of `runs` runs, taken in a round in which every kernel of the problem was sampled once.

    `gpu_ns` is None where the timestamps could not be believed, for the reason in `fault`.
    """

    round: int
    runs: int
    wall_ns: float
    gpu_ns: float | None
    fault: str = ""

    def ns(self, clock: str) -> float:
        """The sample's time by the clock of that name."""
        return self.gpu_ns if clock == "gpu" and self.gpu_ns is not None else self.wall_ns


@dataclass(frozen=True)
class Result:
    """A case that was measured, or found wrong.

    `stats` are nanoseconds of one run by the run's clock, `gflops` the rate at their median, and
    `roof_gflops` what the measured ceilings allow this problem. A wrong or rejected case has no rate.
    `stopped` says why sampling ended, `reason` what a wrong or rejected case did.
    """

    case: Case
    verdict: Verdict
    proof: Proof
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

    problem: Problem
    samples_ns: tuple[float, ...]


@dataclass(frozen=True)
class Ceilings:
    """What our own kernels reach on this device: arithmetic, copying by working set, an empty launch."""

    fma_gflops: float
    copy_gbps: Mapping[int, float]
    launch_ns: float


@dataclass
class Run:
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


class Work(Protocol):
    """A case on a device: buffers filled, ready to run again and again."""

    @property
    def case(self) -> Case:
        """The case, with the kernels that run."""

    def launches(self) -> list[Launch]:
        """The dispatches of one run, in order, sized by the pace seen so far."""

    def poison(self) -> None:
        """Fills what the launches write with what no kernel writes, so that nothing old passes for new."""

    def prove(self) -> Proof:
        """Poisons the output, runs, compares."""

    def recheck(self) -> Proof:
        """Compares the output as timing left it."""


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

    def setup(self, problem: Problem, device: Device, rng: np.random.Generator) -> Setup:
        """Makes a problem's inputs and references."""
