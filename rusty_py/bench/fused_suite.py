"""Measures fused functions beside their operations one by one: kernels, launches, bytes and eager calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rusty_py.arrays import Array
from rusty_py.bench.operation_suite import operands_of
from rusty_py.bench.suites.description import Task
from rusty_py.dtypes import F32, Dtype
from rusty_py.errors import DtypeError
from rusty_py.measure.document import BenchProblem, Figure, Verification
from rusty_py.measure.fused_functions import FUNCTIONS, moved_bytes
from rusty_py.measure.operation_work import OperationWork
from rusty_py.measure.runner import Comparison, KernelMeter, Schedule
from rusty_py.measure.sampling import HostTrack, KernelTrack
from rusty_py.measure.work import Implementation
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device
from rusty_py.samples import Sample

FUSED, UNFUSED = "fused", "unfused"
CALL = "call"
"""An eager call of one of them is "fused call", ..."""
LAUNCHES, MOVED = "launches", "moved"
"""Figures of a kernel: how many launches it is, and the bytes that these read and write."""


class FusedTrack(KernelTrack):
    """Kernels, and what they move."""

    def figures(self) -> list[Figure]:
        launches = self.made.launches()
        counted = [Figure(LAUNCHES, len(launches), LAUNCHES), Figure(MOVED, moved_bytes(launches), "B")]
        return [*super().figures(), *counted]


@dataclass(frozen=True)
class FusedSuite:
    """`command` names the suite."""

    command: str
    tasks: Sequence[Task]
    dtype: Dtype

    def check(self, adapter: Adapter) -> None:
        """Raises DtypeError for another dtype than f32, of which the bounds are."""
        if self.dtype is not F32:
            raise DtypeError(f"{self.command}: not for {self.dtype.name}: use --dtype f32")

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """A row for each task."""
        return [
            Schedule(
                BenchProblem(task.operation, task.name, dtype=self.dtype.name),
                partial(self._comparisons, task, meter, int(rng.integers(1 << 31))),
                by=(FUSED,),
            )
            for task in self.tasks
        ]

    def _comparisons(self, task: Task, meter: KernelMeter, seed: int) -> list[Comparison]:
        function, device = FUNCTIONS[task.operation], meter.device
        operations = {FUSED: function.operation(fused=True), UNFUSED: function.operation(fused=False)}
        operands = operands_of(operations[FUSED], self.dtype, task.shape, seed=seed)
        sample = Sample(task.name, operands)
        works = {
            by: OperationWork(each, sample, self.dtype, device, options={}) for by, each in operations.items()
        }
        kernels = [
            FusedTrack(by, lambda work=work: work, device, meter.timer, meter.clock_name)  # type: ignore[misc]
            for by, work in works.items()
        ]
        calls = [_call_track(f"{by} {CALL}", work, device) for by, work in works.items()]
        return [Comparison(works[FUSED].problem, kernels, calls, reference=UNFUSED)]


def _call_track(by: str, work: OperationWork, device: Device) -> HostTrack:
    """Eager calls, and one wait at the end of a sample."""
    results: list[Array] = []

    def run(calls: int) -> None:
        for _ in range(calls):
            results[:] = [work.call(*work.arrays)]
        device.wait()

    def verify(once: Callable[[], None]) -> str:
        once()
        verification: Verification = work.compare(results[0].numpy())
        return verification.fault

    return HostTrack(Implementation(by, run, verify), "wall", "calls, as their kernels", scope="host")
