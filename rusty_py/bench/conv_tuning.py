"""Keeps the fastest algorithm of each convolution of a run for `algorithm="auto"`."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rusty_py.arrays import allocate
from rusty_py.bench import diagnosis
from rusty_py.bench.conv_suite import ConvSuite, shapes_of
from rusty_py.bench.kernel_suites import measure
from rusty_py.errors import LimitError
from rusty_py.gemm import tuning_file
from rusty_py.gemm.tuning_entry import machine_of
from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.runner import Progress
from rusty_py.measure.sampling import Options
from rusty_py.measure.stats import ratio_interval
from rusty_py.ops.conv import tuning
from rusty_py.ops.conv.plan import ConvolutionPlan
from rusty_py.ops.conv.select import ALGORITHMS
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
    """Runs the suite, and stores what was fastest. Raises LimitError without a file, CacheError."""
    path = tuning_file.location()
    if path is None:
        raise LimitError(f"conv2d: no tuning file: {tuning_file.nowhere()}")
    tuning_file.check(path)
    run = measure(suite, device, options, context=context, progress=progress)
    lines = [
        _outcome(row, _plan(suite, row, device), device, path) for row in run.rows if diagnosis.ranking(row)
    ]
    run.context = {**run.context, FINDINGS: lines}
    return run


def _plan(suite: ConvSuite, row: Row, device: Device) -> ConvolutionPlan:
    each = next(each for each in suite.convolutions if each.name == row.problem.name)
    shapes = shapes_of(each, suite.layout)
    options: dict[str, Any] = {**each.options}
    x, w = (allocate(device, shape, suite.dtype, operation="conv2d") for shape in shapes[:2])
    return conv2d.plan(x, w, layout=suite.layout, **options)


def _outcome(row: Row, plan: ConvolutionPlan, device: Device, path: Path) -> str:
    """Stores the fastest algorithm if it is faster than the default beyond the noise; says so in a line."""
    ranked = [each for each in diagnosis.ranking(row) if each.by in ALGORITHMS]
    default = next((each for each in ranked if each.by == plan.default), None)
    if default is None or min(len(each.samples) for each in ranked) < _MIN_SAMPLES:
        return f"{row.problem.name}: not tuned: too few samples of {plan.default}"
    best = ranked[0]
    ratio, low, _ = _ratio(default, best)
    if best is default or low <= 1 or ratio < _MIN_GAIN:
        tuning.drop(path, machine_of(device.adapter), plan.key)
        return f"{row.problem.name}: {plan.default}, the default, is as fast as any"
    assert best.ns
    assert default.ns
    entry = tuning.TunedAlgorithm(
        asdict(machine_of(device.adapter)),
        plan.key,
        plan.problem,
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
