"""Keeps the fastest algorithm of each convolution of a run, and of its gradients, for `algorithm="auto"`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rusty_py.arrays import allocate
from rusty_py.bench import diagnosis
from rusty_py.bench.conv_gradients import DEFAULT, KEY, GradientSuite
from rusty_py.bench.conv_suite import ConvSuite, shapes_of
from rusty_py.bench.kernel_suites import measure
from rusty_py.errors import LimitError
from rusty_py.gemm import tuning_file
from rusty_py.gemm.tuning_entry import machine_of
from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.runner import KernelMeter, Progress, Schedule
from rusty_py.measure.sampling import Options
from rusty_py.measure.stats import ratio_interval
from rusty_py.ops.conv import tuning
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS
from rusty_py.ops.conv2d import conv2d
from rusty_py.runtime.device import Device

FINDINGS = "tuned"
"""The name in a run's context under which the outcome is kept."""

_MIN_GAIN = 1.01
_MIN_SAMPLES = 5


def tuned(
    suite: ConvSuite,
    device: Device,
    options: Options,
    *,
    context: Mapping[str, object],
    progress: Progress,
) -> BenchRun:
    """Runs the suite and that of its gradients, and stores what was fastest.

    Raises LimitError without a file, CacheError.
    """
    path = tuning_file.location()
    if path is None:
        raise LimitError(f"conv2d: no tuning file: {tuning_file.nowhere()}")
    tuning_file.check(path)
    gradients = GradientSuite(suite.convolutions, suite.layout, suite.dtype)
    run = measure(_Both(suite, gradients), device, options, context=context, progress=progress)
    lines = [
        _outcome(row, _choice(suite, row, device), device, path) for row in run.rows if diagnosis.ranking(row)
    ]
    run.context = {**run.context, FINDINGS: lines}
    return run


@dataclass(frozen=True)
class _Both:
    """The convolutions, then their gradients."""

    forward: ConvSuite
    gradients: GradientSuite
    command = "conv2d"

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        return [*self.forward.schedules(meter, rng), *self.gradients.schedules(meter, rng)]


@dataclass(frozen=True)
class Choice:
    """What can be stored for a row: `key` in the tuning file, the default algorithm, a description."""

    key: str
    default: str
    text: str


def _choice(suite: ConvSuite, row: Row, device: Device) -> Choice:
    known = row.problem.options
    if KEY in known:
        return Choice(known[KEY], known[DEFAULT], row.problem.name)
    each = next(each for each in suite.convolutions if each.name == row.problem.name)
    shapes = shapes_of(each, suite.layout)
    options: dict[str, Any] = {**each.options}
    x, w = (allocate(device, shape, suite.dtype, operation="conv2d") for shape in shapes[:2])
    plan = conv2d.plan(x, w, layout=suite.layout, **options)
    return Choice(plan.key, plan.default, plan.problem)


def _outcome(row: Row, choice: Choice, device: Device, path: Path) -> str:
    """Stores the fastest algorithm if it is faster than the default beyond the noise; says so in a line."""
    ranked = [each for each in diagnosis.ranking(row) if each.by in {*ALGORITHMS, *WEIGHT_ALGORITHMS}]
    default = next((each for each in ranked if each.by == choice.default), None)
    if default is None or min(len(each.samples) for each in ranked) < _MIN_SAMPLES:
        return f"{row.problem.name}: not tuned: too few samples of {choice.default}"
    best = ranked[0]
    ratio, low, _ = _ratio(default, best)
    if best is default or low <= 1 or ratio < _MIN_GAIN:
        tuning.drop(path, machine_of(device.adapter), choice.key)
        return f"{row.problem.name}: {choice.default}, the default, is as fast as any"
    assert best.ns
    assert default.ns
    entry = tuning.TunedAlgorithm(
        asdict(machine_of(device.adapter)),
        choice.key,
        choice.text,
        best.by,
        best.ns / 1e6,
        default.by,
        default.ns / 1e6,
        datetime.now(UTC).date().isoformat(),
    )
    tuning.put(path, entry)
    return f"{row.problem.name}: {best.by}, {ratio:.2f} times as fast as {default.by}, is kept in {path}"


def _ratio(slower: Result, faster: Result) -> tuple[float, float, float]:
    """The ratio of the times in common rounds, with its interval."""
    slow, fast = slower.samples.by_round(slower.clock), faster.samples.by_round(faster.clock)
    rounds = sorted(slow.keys() & fast.keys())
    return ratio_interval([slow[each] for each in rounds], [fast[each] for each in rounds])
