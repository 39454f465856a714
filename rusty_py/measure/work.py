"""What is measured: kernels on a device, and code on the host."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from rusty_py.measure.document import BenchProblem, Figure, Verification
from rusty_py.runtime.launch import Launch

Verify = Callable[[Callable[[], None]], str]
"""Sets fresh inputs, calls its argument, and compares; returns the fault, or ""."""


class Work(Protocol):
    """Kernels for a problem on a device, with filled buffers, ready to run repeatedly.

    `kernel`, `sha256` and `plan` are as in `Result`.
    """

    @property
    def problem(self) -> BenchProblem: ...

    @property
    def kernel(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def plan(self) -> str: ...

    def launches(self) -> list[Launch]:
        """The dispatches of one run, in order, split by the throughput measured so far."""

    def poison(self) -> None:
        """Fills the outputs with a bit pattern that no kernel writes, to detect unwritten elements."""

    def verify(self) -> Verification:
        """Poisons the output, runs, compares."""

    def recheck(self) -> Verification:
        """Compares the output after timing."""


def nothing() -> None:
    """The default for `Implementation.after`: does nothing."""


@dataclass(frozen=True)
class Implementation:
    """Host code that is measured. `run(n)` runs it n times; `after` waits for it, untimed.

    A sample is taken inside `around`, with a multiple of `step` runs, at most `limit`. `counts` are figures
    of all samples; `sampled` those of the last sample, of which the result has the median sample's.
    """

    by: str
    run: Callable[[int], None]
    verify: Verify
    after: Callable[[], None] = nothing
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    step: int = 1
    limit: int = 1 << 20
    counts: Callable[[], Sequence[Figure]] = tuple
    sampled: Callable[[], Sequence[Figure]] = tuple
