"""Problems, cases, verification results and samples. Plain data, except `Work`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rusty_py.runtime.launch import Launch


@dataclass(frozen=True)
class BenchProblem:
    """A computation, independent of the kernel. `bytes` is the minimum memory traffic: `written_bytes` of
    them are written, the others are read.

    For matrix products, `layout` has the BLAS letters of the operands (n row-major, t transposed), and `sums`
    is the accumulator dtype.
    """

    suite: str
    name: str
    axes: Mapping[str, int]
    dtype: str
    flops: int
    bytes: int
    layout: str = "nn"
    sums: str = "f32"
    written_bytes: int = 0


@dataclass(frozen=True)
class Case:
    """One kernel on one problem. `variant` is its name in tables, `sha256` the hash of its WGSL.

    If the kernel is selected on the device, `plan` is the selection and its reason; until then `kernel` and
    `sha256` are empty. For several kernels in sequence, `kernel` names them all, and `sha256` is the hash of
    their concatenated WGSL.
    """

    problem: BenchProblem
    variant: str
    kernel: str
    sha256: str
    plan: str = ""


@dataclass(frozen=True)
class Verification:
    """The method and outcome of a verification.

    `error` is the maximum error relative to float64 as a fraction of the rounding bound, `relative_error` the
    Frobenius norm of the error over that of the result, both over the elements compared with float64; None
    if the result is not finite. `fault` describes the failure; empty if the result is correct.
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
    """A sample of `runs` runs. In each `round` every kernel of the problem is sampled once.

    `gpu_ns` is None if the timestamps were rejected, for the reason in `fault`.
    """

    round: int
    runs: int
    wall_ns: float
    gpu_ns: float | None
    fault: str = ""

    def ns(self, clock: str) -> float:
        """The time of the sample by the named clock."""
        return self.gpu_ns if clock == "gpu" and self.gpu_ns is not None else self.wall_ns


class Work(Protocol):
    """A case on a device, with filled buffers, ready to run repeatedly."""

    @property
    def case(self) -> Case:
        """The case, with the selected kernels."""

    def launches(self) -> list[Launch]:
        """The dispatches of one run, in order, split by the throughput measured so far."""

    def poison(self) -> None:
        """Fills the outputs with a bit pattern that no kernel writes, to detect unwritten elements."""

    def verify(self) -> Verification:
        """Poisons the output, runs, compares."""

    def recheck(self) -> Verification:
        """Compares the output after timing."""
