"""A reference while it is measured: a library's computation, verified, warmed up and sampled as ours."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rusty_py.measure.document import ClockName, Scope, Timed, Verification
from rusty_py.measure.references.task import ReferenceTask
from rusty_py.measure.sampling import Options, Track
from rusty_py.measure.verification import POISON, unwritten
from rusty_py.views import Shape


class Computation(Protocol):
    """A task in a library, with its operands in place and its result allocated."""

    step: int
    """A sample has a multiple of this many runs."""

    def prepare(self) -> None:
        """Allocates, and runs once. Raises LimitError for what the library can't compute, OutOfMemory."""

    def poison(self) -> None:
        """Fills the result with a bit pattern that is never computed, and waits."""

    def sample(self, runs: int) -> Timed:
        """Times `runs` runs back to back, and waits for them."""

    def result(self) -> NDArray[Any]:
        """The result of the last run, in the task's dtype."""


class ReferenceTrack(Track):
    """A computation in the rounds of a row. Its result is poisoned before each sample."""

    def __init__(
        self, by: str, task: ReferenceTask, computation: Computation, *, clock: ClockName, scope: Scope
    ) -> None:
        super().__init__(by, clock, scope)
        self.task, self.computation = task, computation
        self._prepared = False
        self._first_s = 0.0

    def prepare(self) -> None:
        if not self._prepared:
            self.computation.prepare()
            self.runs = self.computation.step
            self._prepared = True

    def run_s(self) -> float:
        """0 on the host, where a run may take seconds and a single sample is enough."""
        if self.scope == "host":
            return 0.0
        return self.sample().ns("wall") / self.runs / 1e9

    def verify(self) -> Verification:
        self._first_s = self.sample().ns("wall") / 1e9
        return self.recheck()

    def recheck(self) -> Verification:
        """Verifies the result of the last sample."""
        result = self.computation.result()
        if result.shape != self.task.shape:
            fault = f"the result has shape {result.shape} instead of {self.task.shape}"
            return Verification("shape", fault=fault)
        verification = self.task.compare(result)
        fault = unwritten(result)
        return replace(verification, fault=fault) if fault else verification

    def warm_up(self, options: Options, deadline: float) -> None:
        """Starts with the run that was verified: a long one needs no other."""
        step, seconds = self.computation.step, self._first_s
        spent_s = seconds
        while True:
            wanted = math.ceil(options.sample_s * self.runs / seconds)
            warm = spent_s >= options.warmup_s or time.monotonic() > deadline
            if warm and wanted <= self.runs * 1.2:
                break
            runs = max(1, min(wanted, 8 * self.runs))
            self.runs = math.ceil(runs / step) * step
            seconds = self.sample().ns("wall") / 1e9
            spent_s += seconds

    def sample(self) -> Timed:
        self.computation.poison()
        return self.computation.sample(self.runs)


def wall_timed(run: Callable[[], object]) -> Timed:
    """`run`, which waits for its work, by the wall clock."""
    start = time.perf_counter_ns()
    run()
    return Timed(wall_ns=float(max(time.perf_counter_ns() - start, 1)))


def poisoned(shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A new array that is poison everywhere."""
    array = np.empty(shape, dtype)
    poison(array)
    return array


def poison(array: NDArray[Any]) -> None:
    """Fills an array, which is contiguous, with poison."""
    word = np.dtype(f"u{array.itemsize}")
    array.view(word)[...] = POISON & np.iinfo(word).max


def poison_integer(itemsize: int) -> int:
    """Poison as a signed integer of so many bytes."""
    return int(poisoned((1,), np.dtype(f"u{itemsize}")).view(f"i{itemsize}")[0])
