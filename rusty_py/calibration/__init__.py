"""Calibration: measures how fast an adapter is, and keeps that as its profile, by which work is planned.

`calibrate(device)` does it for a device; `rusty-bench calibrate` prints what it found.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from rusty_py.errors import DeviceError, LimitError
from rusty_py.measure.child_process import child_process
from rusty_py.profile import store
from rusty_py.profile.prior import prior_for
from rusty_py.profile.record import FORMAT, Profile, as_json, from_json
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device, default_device

COMMAND = (sys.executable, "-m", "rusty_py.calibration.measuring")
MAX_TIME_S, CPU_MAX_TIME_S = 15.0, 60.0
SILENCE_S, CPU_SILENCE_S = 10.0, 30.0
"""A process that reports nothing for this long is treated as hung."""

_NEEDED = ("fma_gflops", "cores", "launch_us", "copy_gbps", "read_gbps")
_RESERVE_S, _END_S = 0.5, 0.2  # Of the time that there is, for the end of the measurement and of its process.

Progress = Callable[[str], None]


@dataclass
class Calibrated:
    """What a calibration found. `path`: where the profile is kept, if it is.

    `clock` and `clock_reason`: by which clock, and why. `notes`: what failed, and how.
    """

    adapter: Adapter
    profile: Profile
    path: Path | None
    seconds: float
    clock: str = ""
    clock_reason: str = ""
    notes: list[str] = field(default_factory=list)


def calibrate(device: Device | None = None, *, max_time_s: float | None = None) -> Profile:
    """Measures the device's adapter, in a process of its own, and plans by the result from now on.

    Takes `max_time_s` seconds at most, by default 15, on a CPU driver 60. The profile is kept in the user's
    cache. Raises DeviceError if measuring fails, CacheError if the file cannot be written or another process
    is calibrating, LimitError if there is no folder for the file.
    """
    device = device or default_device()
    device.ensure_usable("calibrate")
    profile = calibrate_adapter(device.adapter, max_time_s=max_time_s).profile
    store.use(device, profile)
    return profile


def calibrate_adapter(
    adapter: Adapter,
    *,
    max_time_s: float | None = None,
    keep: bool = True,
    progress: Progress = lambda text: None,
    command: Sequence[str] = COMMAND,
    silence_s: float | None = None,
) -> Calibrated:
    """Measures an adapter; see `calibrate`. Without `keep` nothing is written."""
    path = store.location(adapter)
    if max_time_s is None:
        max_time_s = CPU_MAX_TIME_S if adapter.is_cpu else MAX_TIME_S
    if not 0 < max_time_s < inf:
        raise LimitError(f"calibrate: max_time_s must be a positive number of seconds, got {max_time_s}")
    silence_s = silence_s or (CPU_SILENCE_S if adapter.is_cpu else SILENCE_S)
    if not keep:
        return _measured(adapter, max_time_s, silence_s, progress, command)
    if path is None:
        raise LimitError(f"calibrate: no place for the profile: {store.nowhere()}")
    with store.alone(path):
        store.save(path, adapter, prior_for(adapter), only_try=True)  # Before seconds of measuring.
        found = _measured(adapter, max_time_s, silence_s, progress, command)
        store.save(path, adapter, found.profile)
    found.path = path
    return found


@dataclass
class _Findings:
    """The reports of all measuring processes."""

    figures: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    clock: str = ""
    clock_reason: str = ""
    failure: str = ""
    trying: dict[str, Any] | None = None
    """The kernel that is being measured."""
    beside: bool = False
    """Whether others were being compiled beside it."""
    ahead: bool = True
    """Whether kernels may be compiled beside the one that is being measured."""

    def add(self, event: dict[str, Any]) -> None:
        """Adds what a process reports."""
        match event.get("event"):
            case "trying":
                self.trying, self.beside = event["kernel"], event["beside"]
            case "figure":
                self.figures[event["name"]] = event["value"]
            case "rate":
                kernel, self.trying = event["kernel"], None
                rates = self.rates.setdefault(repr(kernel), {"kernel": kernel, "gflops": {}})
                rates["gflops"][event["class"]] = event["gflops"]
            case "out":
                self.notes.append(f"{_name(event['kernel'])}: {event['why']}")
                self.trying = None
            case "note":
                self.notes.append(event["text"])
            case "clock":
                self.clock, self.clock_reason = event["name"], event["reason"]
            case "failed":
                self.failure = event["why"]
            case "hangs":
                self.failure = "the measuring process hung"


def _measured(
    adapter: Adapter, max_time_s: float, silence_s: float, progress: Progress, command: Sequence[str]
) -> Calibrated:
    begun = time.monotonic()
    deadline = begun + max_time_s - _END_S
    found = _Findings()
    # A kernel that ends the process, or hangs it, is left out by the next one.
    while not _run(adapter, found, deadline, silence_s, progress, command) and time.monotonic() < deadline:
        pass
    missing = [name for name in _NEEDED if name not in found.figures]
    if missing or not found.rates:
        short = f"{', '.join(missing) or 'no kernel'}: not measured in {max_time_s:.3g} s: give it more time"
        why = found.failure or short
        raise DeviceError(f"calibrate: {adapter}: {why}")
    return Calibrated(
        adapter,
        _profile(adapter, found),
        None,
        time.monotonic() - begun,
        found.clock,
        found.clock_reason,
        found.notes + [found.failure] * bool(found.failure),
    )


def _run(
    adapter: Adapter,
    found: _Findings,
    deadline: float,
    silence_s: float,
    progress: Progress,
    command: Sequence[str],
) -> bool:
    """Runs one measuring process. False if a kernel ended it, and another one may find more.

    A process that ends while it compiles other kernels does not tell which of them ended it: the next ones
    compile one at a time.
    """
    order = {
        "adapter": adapter.index,
        # Wall-clock time, so that the start of the process is included.
        "until": time.time() + deadline - time.monotonic() - _RESERVE_S,
        "refused": found.refused,
        "ahead": found.ahead,
    }
    with child_process(command, order) as child:
        for event in child.events(silence_s=silence_s, deadline=deadline):
            if event.get("event") in ("end", "time"):
                return True
            found.add(event)
            progress(f"calibrating: {len(found.figures)} figures, {len(found.rates)} kernels")
        why = found.failure or child.ending()
    if found.trying is None:
        found.failure = why
        return True
    if found.beside and not found.failure:
        found.ahead, found.trying = False, None
        return False
    found.refused.append(found.trying)
    found.notes.append(f"{_name(found.trying)}: {why}")
    found.failure, found.trying = "", None
    return False


def _profile(adapter: Adapter, found: _Findings) -> Profile:
    """The profile; what was not measured in time is that of the prior. Raises DeviceError for odd figures."""
    prior = as_json(prior_for(adapter))
    figures = {name: prior[name] for name in ("scattered", "fill_groups", "item_bytes")} | found.figures
    document = {
        "format": FORMAT,
        "basis": "calibrated",
        "subject": adapter.name,
        "date": datetime.now(UTC).date().isoformat(),
        **figures,
        "kernels": list(found.rates.values()),
    }
    try:
        return from_json(document)
    except ValueError as error:
        raise DeviceError(f"calibrate: {adapter}: measured what cannot be: {error}") from error


def _name(kernel: dict[str, Any]) -> str:
    from rusty_py.gemm.search_space import from_data

    return from_data(kernel).name
