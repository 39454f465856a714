"""Runs of suites that measure kernels."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from rusty_py.measure.document import BenchRun
from rusty_py.measure.runner import KernelMeter, Progress, Runner, Schedule
from rusty_py.measure.sampling import Options
from rusty_py.runtime.device import Device


class Suite(Protocol):
    """What to measure, as schedules for a device."""

    @property
    def command(self) -> str: ...

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """The rows, in the order in which they are measured: short ones first."""


def measure(
    suite: Suite,
    device: Device,
    options: Options,
    *,
    context: Mapping[str, object],
    progress: Progress,
    peak_gflops: float | None = None,
) -> BenchRun:
    """Runs the suite on the device. After Ctrl-C the result has what was measured so far."""
    meter = KernelMeter(device, options)
    schedules = suite.schedules(meter, np.random.default_rng(options.seed))
    run = BenchRun(suite.command, context, peak_gflops=peak_gflops)
    return Runner(options, progress, meter=meter).measure(schedules, run)
