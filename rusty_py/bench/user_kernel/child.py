"""The measuring process of `rusty-bench run`: verifies and times a kernel, and reports as lines of JSON.

Reads the job as one line from standard input. Each report says how long the next one may take: after that
the parent ends this process. A kernel may hang the driver, so nothing here can be relied on to do that.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import rusty_py
from rusty_py.arrays import Array
from rusty_py.bench import checking
from rusty_py.bench.context import context
from rusty_py.bench.report import json as document
from rusty_py.bench.user_kernel.job import KernelJob
from rusty_py.bench.user_kernel.verification import Host, References
from rusty_py.bench.user_kernel.work import SameOperation, UserWork
from rusty_py.checker import contents
from rusty_py.errors import LimitError, RustyError
from rusty_py.expression import single_operation
from rusty_py.measure.document import BenchProblem, BenchRun
from rusty_py.measure.runner import Comparison, KernelMeter, Runner, Schedule
from rusty_py.measure.sampling import KernelTrack, Options
from rusty_py.measure.signals import leave_to_parent
from rusty_py.ops.creation import array
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.device import Device
from rusty_py.user_kernel import Kernel

Report = Callable[..., None]

HOST_LIMIT_S = 120.0
"""For what does not run the kernel: start, compilation, references."""

OURS = "rusty_py"


class Session:
    """One job on a device."""

    def __init__(self, job: KernelJob, device: Device, report: Report) -> None:
        self.job, self.device, self.report = job, device, report
        self.options = Options.for_adapter(device.adapter, runs=job.runs, max_time_s=job.max_time_s)
        self.context = context(device, options=vars(self.options), checked=job.checked) | job.facts

    def run(self) -> BenchRun:
        """Compiles, verifies, times and verifies again."""
        job, device = self.job, self.device
        self._stage("compiling")
        kernel = Kernel(
            job.wgsl,
            entry=job.entry,
            constants=job.constants,
            checked=job.checked,
            device=device,
            name=job.name,
        )
        self._stage("evaluating the reference")
        hosts = {name: _contents(name, text) for name, text in job.buffers.items()}
        references = References(list(job.references), hosts, rtol=job.rtol, atol=job.atol)
        self._check_written(kernel, references)
        arrays = {name: array(host, device=device) for name, host in hosts.items()}
        work = UserWork(
            kernel,
            arrays,
            BenchProblem("run", job.problem, flops=references.flops),
            workgroups=job.workgroups,
            expected=references.expected,
            read=references.read,
            alive=self._alive,
        )
        ours = self._operation(references, {**arrays, **work.initial}, work.problem)
        meter = KernelMeter(device, self.options)

        def comparisons() -> list[Comparison]:
            def track(by: str, work: UserWork | SameOperation) -> KernelTrack:
                return KernelTrack(by, lambda: work, device, meter.timer, meter.clock_name)

            tracks = [track(job.name, work), *([track(OURS, ours)] if ours else [])]
            return [Comparison(work.problem, tracks)]

        unverified = [name for name in work.initial if name not in references.expected]
        measured = BenchRun("run", {**self.context, "unverified": unverified})
        schedule = Schedule(work.problem, comparisons, by=(job.name,))
        return Runner(self.options, self._stage, meter=meter).measure([schedule], measured)

    def _check_written(self, kernel: Kernel, references: References) -> None:
        """Raises LimitError for a reference of what the kernel does not write: it would prove nothing."""
        written = [each.name for each in kernel.variables if each.writable]
        for name in references.expected:
            if name not in written:
                raise LimitError(
                    f"{kernel.name}: the reference is of a buffer that the kernel does not write: {name}:"
                    f" it writes {', '.join(written) or 'none'}"
                )

    def _operation(
        self, references: References, arrays: Mapping[str, Array], problem: BenchProblem
    ) -> SameOperation | None:
        """Our operation, if the only reference is one that takes these arrays."""
        if len(references.expected) != 1 or len(references.parsed) != 1:
            return None
        reference = references.parsed[0]
        found = single_operation(reference)
        function = getattr(rusty_py, found[0], None) if found else None
        if found is None or function is None or not {each for each in found[1] if each in arrays}:
            return None
        try:
            ours = SameOperation(
                function,
                [arrays[each] if isinstance(each, str) else each for each in found[1]],
                problem,
                device=self.device,
                expected=references.expected[reference.name],
                name=reference.name,
                alive=self._alive,
            )
        except RustyError:  # It has other rules: of dtypes, for example.
            return None
        return ours if ours.made else None

    def _stage(self, what: str) -> None:
        """Reports the next stage, without the runner's names of the problem and the kernel.

        Runs of the kernel are reported one by one, with their own limit.
        """
        stage = what.removeprefix(self.job.problem).lstrip(",: ").removeprefix(f"{self.job.name}: ")
        self.report(event="stage", stage=stage, next_s=HOST_LIMIT_S)

    def _alive(self) -> None:
        self.report(event="alive", next_s=self.job.time_limit_s)


def _contents(name: str, text: str) -> Host:
    """The contents of a buffer: of a file, or as described."""
    found = (
        checking.array_in(text, name, regular=True)
        if text.startswith("@")
        else contents.parse(text, name=name, operation="run")
    )
    return np.asarray(found)


def _end_with_parent() -> None:
    """Exits when standard input is closed: a hanging kernel must not outlive the program."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Runs the job from standard input."""
    leave_to_parent()
    job = KernelJob(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(**event: Any) -> None:
        print(json.dumps(event), flush=True)

    try:
        # The parent's limit comes first.
        timeout_s = job.time_limit_s + HOST_LIMIT_S
        with Device(choose(job.adapter), checked=False, timeout_s=timeout_s) as device:
            session = Session(job, device, report)
            report(event="ready", context=session.context, next_s=HOST_LIMIT_S)
            result = session.run()
            report(event="result", document=document.render(result), next_s=HOST_LIMIT_S)
    except RustyError as error:
        report(event="error", kind=type(error).__name__, message=str(error), next_s=HOST_LIMIT_S)


if __name__ == "__main__":
    main()
