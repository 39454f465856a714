"""`rusty-bench overhead`: the host overhead of rusty_py, compared with plain wgpu-py."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rusty_py.bench.interleaved import InterleavedOptions, InterleavedSampler, Progress, Schedule
from rusty_py.bench.overhead import branches, eager, launches, memory, startup
from rusty_py.bench.overhead.parts import TimedDevice
from rusty_py.bench.plain import Plain, use_for_helper
from rusty_py.bench.results import Results
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


def options(*, runs: int | None, max_time_s: float | None) -> InterleavedOptions:
    """5 to 31 samples per row, or exactly `runs`."""
    return InterleavedOptions(
        sample_s=_SAMPLE_S,
        min_samples=runs or 5,
        max_samples=runs or 31,
        max_time_s=max_time_s or MAX_TIME_S,
        seed=random.SystemRandom().getrandbits(32),
    )


def measure(
    device: Device, options: InterleavedOptions, *, context: Mapping[str, object], progress: Progress
) -> Results:
    """Measures all rows. After Ctrl-C the result has what was measured so far."""
    outcome = Results("overhead", context)
    rounds = InterleavedSampler(options, progress)
    try:
        progress("cold starts")
        began = time.monotonic()

        def enough() -> bool:
            return time.monotonic() - began > _START_SHARE * options.max_time_s

        runs = min(_STARTS, options.max_samples)
        outcome.rows += startup.rows(device.adapter, runs=runs, enough=enough)
        with _devices(device) as devices:
            rounds.measure(plans(devices), outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return outcome


def plans(devices: OverheadDevices) -> list[Schedule]:
    """The schedules, in the order of the rows."""
    device, plain = devices.device, devices.plain
    return [
        Schedule(launches.FOUND, lambda: launches.found(device), 0.3),
        Schedule(launches.COMPILED, lambda: launches.compiled(device, plain)),
        Schedule(launches.ENCODER, lambda: launches.encoder(device, plain), 0.5),
        Schedule(launches.RECORDED, lambda: launches.recorded(device, plain), 2.0),
        Schedule(launches.BOUND, lambda: launches.bound(device, plain)),
        Schedule(launches.SUBMITTED, lambda: launches.submitted(device, plain)),
        Schedule(launches.ADDED, lambda: launches.added(device)),
        Schedule(launches.WAITED, lambda: launches.waited(device, plain)),
        Schedule(launches.REPLAYED, lambda: launches.replayed(device, plain), 2.0),
        Schedule(launches.ROUND_TRIP, lambda: launches.round_trip(device, plain)),
        *(_pool_plan(devices, size) for size in memory.SIZES),
        Schedule(branches.TOGETHER, lambda: branches.branches(device)),
        *(_eager_plan(devices, expression) for expression in (*eager.EXPRESSIONS, eager.REPLAYED)),
    ]


def _pool_plan(devices: OverheadDevices, size: str) -> Schedule:
    device, unpooled, plain = devices.device, devices.unpooled, devices.plain
    return Schedule(memory.pooled(size), lambda: memory.steps(device, unpooled, plain, size))


def _eager_plan(devices: OverheadDevices, expression: eager.Expression) -> Schedule:
    device, timed = devices.device, devices.timed
    return Schedule(expression.waited, lambda: eager.eager(device, timed, expression), 0.5)


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
