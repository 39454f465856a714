"""The time of an eager call, divided into wgpu-native, waiting for the device, and Python.

Each call into wgpu-native is timed, on a device whose library is a `TimedLibrary`. The cost of timing is
measured with an empty function and reported separately.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from rusty_py.measure.document import Figure
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.capi import CApi, commands
from rusty_py.runtime.device import Device

PYTHON, NATIVE, WAITING, TIMING = "Python", "wgpu-native", "waiting", "timing"
NATIVE_CALLS = "wgpu-native calls"
PARTS = PYTHON, NATIVE, WAITING, TIMING

_REPEATS, _ROUNDS = 2000, 7


class Watch:
    """Counts and times calls."""

    def __init__(self) -> None:
        self.calls, self.ns = 0, 0

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, timed."""

        def timed(*args: Any) -> Any:
            start = perf_counter_ns()
            result = call(*args)
            self.ns += perf_counter_ns() - start
            self.calls += 1
            return result

        return timed


class TimedLibrary:
    """A cffi library whose functions are timed by `watch`."""

    def __init__(self, library: Any, watch: Watch) -> None:
        self._library, self._watch = library, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        if name.startswith("wgpu"):  # Constants begin with WGPU.
            found = self._watch.timed(found)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return dir(self._library)


@dataclass(frozen=True)
class CallCost:
    """The overhead of timing a call, in nanoseconds: `inside` the measured time, and in total."""

    inside: float
    total: float


def cost_of_timing(nothing: Callable[[], object]) -> CallCost:
    """The cost of timing `nothing`, an empty C function; the call itself counts as inside."""
    inside, timed_ns, plain_ns = [], [], []
    for _ in range(_ROUNDS):
        watch = Watch()
        timed = watch.timed(nothing)
        timed_ns.append(_ns(timed))
        plain_ns.append(_ns(nothing))
        inside.append(watch.ns / _REPEATS)
    return CallCost(min(inside), max(0.0, min(timed_ns) - min(plain_ns)))


def _ns(call: Callable[[], object]) -> float:
    start = perf_counter_ns()
    for _ in range(_REPEATS):
        call()
    return (perf_counter_ns() - start) / _REPEATS


class TimedDevice:
    """A `Device` whose calls into wgpu-native are timed."""

    def __init__(self, adapter: Adapter, *, checked: bool) -> None:
        self.watch = Watch()
        self.device = Device(adapter, checked=checked)
        self.device.queue.commands = CApi(lambda library: TimedLibrary(library, self.watch))
        self.cost = cost_of_timing(commands().lib.wgpuGetVersion)
        self.parts: Sequence[Figure] = ()

    def run(self, issue: Callable[[], None], wait: Callable[[], None] | None, *, runs: int) -> None:
        """Issues `runs` runs and may wait. `parts` then has the divided time per run."""
        watch = self.watch
        watch.calls, watch.ns = 0, 0
        start = perf_counter_ns()
        issue()
        issued = ended = perf_counter_ns()
        calls, native_ns = watch.calls, watch.ns
        if wait:  # Its polls count as waiting.
            wait()
            ended = perf_counter_ns()
        self.parts = divided(ended - start, native_ns, ended - issued, calls, self.cost, runs=runs)


def divided(
    took_ns: float, native_ns: float, waited_ns: float, calls: int, cost: CallCost, *, runs: int
) -> list[Figure]:
    """The parts of `took_ns`, per run. They add up to it, and none is negative."""
    issuing = took_ns - waited_ns
    timing = min(calls * cost.total, issuing)
    native = min(max(0.0, native_ns - calls * cost.inside), issuing - timing)
    parts = (issuing - timing - native, native, waited_ns, timing)
    per_run = [Figure(name, part / runs, "ns") for name, part in zip(PARTS, parts, strict=True)]
    return [*per_run, Figure(NATIVE_CALLS, calls / runs, "")]
