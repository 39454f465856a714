"""`rusty-bench overhead`: the host overhead of rusty_py, compared with plain wgpu-py."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rusty_py.bench.host_rows import host_options
from rusty_py.bench.overhead import branches, eager, launches, memory, startup
from rusty_py.bench.overhead.parts import TimedDevice
from rusty_py.bench.overhead.work import OURS, task
from rusty_py.bench.plain import Plain, use_for_helper
from rusty_py.measure.document import BenchRun
from rusty_py.measure.runner import Comparison, Progress, Runner, Schedule, finished
from rusty_py.measure.sampling import Options
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device

MAX_TIME_S = 60.0
_SAMPLE_S = 5e-3
_STARTS = 5
_START_SHARE = 0.25


@dataclass(frozen=True)
class OverheadDevices:
    """Our device, one without pool, one with timed calls, and a wgpu-py device."""

    device: Device
    unpooled: Device
    timed: TimedDevice
    plain: Plain


def options(*, runs: int | None, max_time_s: float | None) -> Options:
    """5 to 31 samples per row, or exactly `runs`."""
    return host_options(
        sample_s=_SAMPLE_S, min_samples=5, max_samples=31, runs=runs, max_time_s=max_time_s or MAX_TIME_S
    )


def measure(
    device: Device, options: Options, *, context: Mapping[str, object], progress: Progress
) -> BenchRun:
    """Measures all rows. After Ctrl-C the result has what was measured so far."""
    run = BenchRun("overhead", context)
    runner = Runner(options, progress)
    try:
        progress("cold starts")
        began = time.monotonic()

        def enough() -> bool:
            return time.monotonic() - began > _START_SHARE * options.max_time_s

        runs = min(_STARTS, options.max_samples)
        run.rows += startup.rows(device.adapter, runs=runs, enough=enough)
        with _devices(device) as devices:
            return runner.measure(schedules(devices), run)
    except KeyboardInterrupt:
        run.interrupted = True
    return finished(run)


def schedules(devices: OverheadDevices) -> list[Schedule]:
    """The schedules, in the order of the rows."""
    device, plain = devices.device, devices.plain
    return [
        _schedule(launches.FOUND, lambda: launches.found(device), 0.3),
        _schedule(launches.COMPILED, lambda: launches.compiled(device, plain)),
        _schedule(launches.ENCODER, lambda: launches.encoder(device, plain), 0.5),
        _schedule(launches.RECORDED, lambda: launches.recorded(device, plain), 2.0),
        _schedule(launches.BOUND, lambda: launches.bound(device, plain)),
        _schedule(launches.SUBMITTED, lambda: launches.submitted(device, plain)),
        _schedule(launches.ADDED, lambda: launches.added(device)),
        _schedule(launches.WAITED, lambda: launches.waited(device, plain)),
        _schedule(launches.REPLAYED, lambda: launches.replayed(device, plain), 2.0),
        _schedule(launches.ROUND_TRIP, lambda: launches.round_trip(device, plain)),
        *(_pool_schedule(devices, size) for size in memory.SIZES),
        _schedule(branches.TOGETHER, lambda: branches.branches(device)),
        *(_eager_schedule(devices, expression) for expression in (*eager.EXPRESSIONS, eager.REPLAYED)),
    ]


def _pool_schedule(devices: OverheadDevices, size: str) -> Schedule:
    device, unpooled, plain = devices.device, devices.unpooled, devices.plain
    return _schedule(memory.pooled(size), lambda: memory.steps(device, unpooled, plain, size))


def _eager_schedule(devices: OverheadDevices, expression: eager.Expression) -> Schedule:
    device, timed = devices.device, devices.timed
    return _schedule(expression.waited, lambda: eager.eager(device, timed, expression), 0.5)


def _schedule(name: str, comparisons: Callable[[], Sequence[Comparison]], weight: float = 1.0) -> Schedule:
    return Schedule(task(name), comparisons, by=(OURS,), weight=weight)


@contextmanager
def _devices(device: Device) -> Iterator[OverheadDevices]:
    """The other devices, on the adapter of the first."""
    adapter: Adapter = device.adapter
    use_for_helper(adapter)
    plain = Plain(adapter)
    timed = TimedDevice(adapter, checked=device.checked)
    with Device(adapter, checked=device.checked) as unpooled, timed.device:
        unpooled.pool.max_cached_bytes = 0
        try:
            yield OverheadDevices(device, unpooled, timed, plain)
        finally:
            plain.close()
