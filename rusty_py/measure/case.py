"""What is measured: a case, its verification, its samples. All but `Work` is data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rusty_py.runtime.launch import Launch


@dataclass(frozen=True)
class BenchProblem:
    """What is computed, by whichever kernel. `bytes` is the least that must be moved:
    `written_bytes` of them are written, the others are read.

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
    written_bytes: int = 0


@dataclass(frozen=True)
class Case:
    """One kernel on one problem. `variant` names it in tables; `sha256` is that of its WGSL text.

    Where the device chooses the kernel, `plan` says in a line what it chose and why; until then `kernel` and
    `sha256` are empty. Of several kernels in turn, `kernel` names each, and `sha256` is that of their texts,
    one behind the other.
    """

    problem: BenchProblem
    variant: str
    kernel: str
    sha256: str
    plan: str = ""


@dataclass(frozen=True)
class Verification:
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


class Work(Protocol):
    """A case on a device: buffers filled, ready to run again and again."""

    @property
    def case(self) -> Case:
        """The case, with the kernels that run."""

    def launches(self) -> list[Launch]:
        """The dispatches of one run, in order, sized by the pace seen so far."""

    def poison(self) -> None:
        """Fills what the launches write with what no kernel writes, so that nothing old passes for new."""

    def verify(self) -> Verification:
        """Poisons the output, runs, compares."""

    def recheck(self) -> Verification:
        """Compares the output as timing left it."""
