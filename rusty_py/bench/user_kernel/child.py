"""The measuring process of `rusty-bench run`: verifies and times a kernel, and reports as lines of JSON.

Reads the job as one line from standard input. Each report says how long the next one may take: after that
the parent ends this process. A kernel may hang the driver, so nothing here can be relied on to do that.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

import rusty_py
from rusty_py.arrays import Array
from rusty_py.bench import checking
from rusty_py.bench.context import adapter_facts
from rusty_py.bench.user_kernel.job import KernelJob, KernelRow, KernelRun
from rusty_py.bench.user_kernel.verification import METHOD, Host, References
from rusty_py.bench.user_kernel.work import OperationWork, UserWork
from rusty_py.checker import contents
from rusty_py.errors import LimitError, RustyError
from rusty_py.expression import single_operation
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.sampling import Options, Sampler, Track, run_ns
from rusty_py.measure.signals import leave_to_parent
from rusty_py.measure.stats import summarise
from rusty_py.ops.creation import array
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.device import Device
from rusty_py.runtime.timing import Timer
from rusty_py.user_kernel import Kernel

Report = Callable[..., None]

HOST_LIMIT_S = 120.0
"""For what does not run the kernel: start, compilation, references."""


class Session:
    """One job on a device."""

    def __init__(self, job: KernelJob, device: Device, report: Report) -> None:
        self.job, self.device, self.report = job, device, report
        self.options = Options.for_adapter(device.adapter, runs=job.runs, max_time_s=job.max_time_s)
        self.deadline = time.monotonic() + self.options.max_time_s

    def run(self) -> KernelRun:
        """Compiles, verifies, times and verifies again."""
        job, device = self.job, self.device
        self._stage("compiling", HOST_LIMIT_S)
        kernel = Kernel(
            job.wgsl,
            entry=job.entry,
            constants=job.constants,
            checked=job.checked,
            device=device,
            name=job.name,
        )
        self._stage("evaluating the reference", HOST_LIMIT_S)
        hosts = {name: _contents(name, text) for name, text in job.buffers.items()}
        references = References(list(job.references), hosts, rtol=job.rtol, atol=job.atol)
        self._check_written(kernel, references)
        arrays = {name: array(host, device=device) for name, host in hosts.items()}
        work = UserWork(
            kernel,
            arrays,
            workgroups=job.workgroups,
            expected=references.expected,
            read=references.read,
            alive=self._alive,
        )
        self._stage("running the kernel", job.time_limit_s)
        verification = work.verify()
        unverified = tuple(name for name in work.initial if name not in references.expected)
        outcome = partial(
            KernelRun, nbytes=work.nbytes, flops=references.flops, method=METHOD, unverified=unverified
        )
        if not verification.ok:
            row = KernelRow(job.name, "wrong", work.case.kernel, verification.error, verification.fault)
            return outcome((row,), "wall", "not timed")
        tracks = [Track(work.case, work, verification)]
        if ours := self._operation(references, {**arrays, **work.initial}):
            tracks.append(ours)
        clock, stopped = self._sample(tracks)
        rows = tuple(self._row(track, clock) for track in tracks)
        return outcome(rows, "gpu" if clock.name == "gpu" else "wall", clock.reason, stopped=stopped)

    def _check_written(self, kernel: Kernel, references: References) -> None:
        """Raises LimitError for a reference of what the kernel does not write: it would prove nothing."""
        written = [each.name for each in kernel.variables if each.writable]
        for name in references.expected:
            if name not in written:
                raise LimitError(
                    f"{kernel.name}: the reference is of a buffer that the kernel does not write: {name}:"
                    f" it writes {', '.join(written) or 'none'}"
                )

    def _operation(self, references: References, arrays: Mapping[str, Array]) -> Track | None:
        """Our operation, verified, if the only reference is one that takes these arrays."""
        if len(references.expected) != 1 or len(references.parsed) != 1:
            return None
        reference = references.parsed[0]
        found = single_operation(reference)
        function = getattr(rusty_py, found[0], None) if found else None
        if found is None or function is None or not {each for each in found[1] if each in arrays}:
            return None
        operands = [arrays[each] if isinstance(each, str) else each for each in found[1]]
        try:
            work = OperationWork(
                function,
                operands,
                device=self.device,
                expected=references.expected[reference.name],
                name=reference.name,
                alive=self._alive,
            )
        except RustyError:  # It has other rules: of dtypes, for example.
            return None
        return Track(work.case, work, work.verify()) if work.made else None

    def _sample(self, tracks: list[Track]) -> tuple[Clock, str]:
        """Samples the tracks that are right, and verifies them again."""
        right = [track for track in tracks if track.verification.ok]
        self._stage("checking the clock", HOST_LIMIT_S)
        timer = Timer(self.device)
        cpu = self.device.adapter.is_cpu
        ceilings = CeilingMeter(self.device, timer, sample_s=self.options.sample_s)
        ceilings.fit(5e-3 if cpu else 2e-3)
        clock = check_clock(timer, ceilings.fma_launch, at_least_s=self.options.sample_s)
        self._stage("sampling", self.job.time_limit_s)
        sampler = Sampler(self.device, timer, clock, self.options, deadline=self.deadline)
        for track in right:
            sampler.warm_up(track)
        stopped = sampler.rounds(right, drift_control=self._alive, share_s=self.deadline - time.monotonic())
        for track in right:
            again = track.work.recheck()
            track.verification = track.verification if again.ok else again
        faults = [each.fault for track in right for each in track.samples if each.gpu_ns is None]
        return (Clock("wall", faults[0]) if clock.name == "gpu" and faults else clock), stopped

    def _row(self, track: Track, clock: Clock) -> KernelRow:
        verification = track.verification
        name, what = track.case.variant, track.case.kernel
        if not verification.ok:
            return KernelRow(name, "wrong", what, verification.error, verification.fault)
        samples = run_ns(track.samples, clock)
        return KernelRow(
            name,
            "ok",
            what,
            verification.error,
            samples_ns=tuple(samples),
            runs=track.runs,
            stats=summarise(samples),
        )

    def _stage(self, what: str, limit_s: float) -> None:
        self.report(event="stage", stage=what, next_s=limit_s)

    def _alive(self) -> None:
        self.report(event="alive", next_s=self.job.time_limit_s)


def _contents(name: str, text: str) -> Host:
    """The contents of a buffer: of a file, or as described."""
    found = (
        checking.array_in(text, name)
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
            facts = adapter_facts(device.adapter)
            report(event="ready", adapter=facts, next_s=HOST_LIMIT_S)
            result = Session(job, device, report).run()
            report(event="result", result=asdict(result), next_s=HOST_LIMIT_S)
    except RustyError as error:
        report(event="error", kind=type(error).__name__, message=str(error), next_s=HOST_LIMIT_S)


if __name__ == "__main__":
    main()
