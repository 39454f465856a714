"""Measures a list of operations and sizes: kernels on the device, whole calls, and a reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from rusty_py.bench.suites.description import Shape, Task
from rusty_py.dtypes import F16, Dtype
from rusty_py.errors import DtypeError
from rusty_py.measure.document import BenchProblem
from rusty_py.measure.end_to_end import CompileMeter, WholeCall, end_to_end
from rusty_py.measure.operation_work import OperationWork
from rusty_py.measure.references import Library, ReferenceTask, comparison, references
from rusty_py.measure.runner import Comparison, KernelMeter, Schedule
from rusty_py.measure.sampling import KernelTrack
from rusty_py.operation import OPERATIONS, Operation
from rusty_py.runtime.adapter import Adapter
from rusty_py.samples import Sample

OURS = "rusty_py"
_MAX_DRAWN = 1 << 22


@dataclass(frozen=True)
class OperationSuite:
    """`command` names the suite."""

    command: str
    tasks: Sequence[Task]
    dtype: Dtype
    reference: Library

    def check(self, adapter: Adapter) -> None:
        """Raises DtypeError if an operation or the adapter doesn't take the dtype."""
        if self.dtype is F16 and "shader-f16" not in adapter.features:
            raise DtypeError(f"{self.command}: {adapter} does not compute in f16: use --dtype f32")
        for task in self.tasks:
            self._operation(task)

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """A row for each task."""
        compiler = CompileMeter(meter.device)
        return [
            Schedule(
                BenchProblem(task.operation, task.name, dtype=self.dtype.name),
                partial(self._comparisons, task, meter, compiler, int(rng.integers(1 << 31))),
                by=(OURS,),
            )
            for task in self.tasks
        ]

    def _operation(self, task: Task) -> Operation:
        operation = OPERATIONS[task.operation]
        if operation.operands is None:
            raise DtypeError(f"{self.command}: {task.operation} has no operands to measure it with")
        if self.dtype.kind not in operation.kinds:
            raise DtypeError(f"{self.command}: {task.operation} is not for {self.dtype.name}")
        return operation

    def _comparisons(
        self, task: Task, meter: KernelMeter, compiler: CompileMeter, seed: int
    ) -> list[Comparison]:
        operation = self._operation(task)
        operands = operands_of(operation, self.dtype, task.shape, seed=seed)
        sample = Sample(task.name, operands, dict(task.options))
        options = {name: str(value) for name, value in task.options.items() if value is not None}
        work = OperationWork(operation, sample, self.dtype, meter.device, options=options)
        kernel = KernelTrack(OURS, lambda: work, meter.device, meter.timer, meter.clock_name)
        whole = WholeCall(meter.device, operands, work.call, lambda: work.made, work.compare)
        compared = ReferenceTask(
            operation.name,
            operands,
            work.result.shape,
            work.result.dtype,
            comparison(lambda: work.expected, operands),
            operation.numpy or operation.reference,
            sample.options,
        )
        others = references([self.reference], compared, device=meter.device, clock=meter.clock_name)
        return [
            Comparison(
                work.problem,
                [kernel, *others.tracks],
                [*others.references, end_to_end(whole, compiler)],
                reference=self.reference.name,
            )
        ]


def operands_of(
    operation: Operation, dtype: Dtype, shape: Shape, *, seed: int
) -> tuple[NDArray[np.generic], ...]:
    """Operands of a shape; long ones repeat what is drawn for a shorter first axis, to be drawn soon.

    They are finite: libraries differ in what they make of NaN and infinities, and would be refused for it.
    """
    assert operation.operands is not None
    drawn = max(1, min(shape[0], _MAX_DRAWN // max(1, prod(shape[1:]))))
    made = operation.operands(dtype, (drawn, *shape[1:]), seed=seed)
    operands = tuple(np.where(np.isfinite(x), x, np.ones(1, x.dtype)) for x in made)
    if drawn == shape[0]:
        return operands
    short = (drawn, *shape[1:])
    return tuple(np.resize(x, shape) if x.shape == short else x for x in operands)
