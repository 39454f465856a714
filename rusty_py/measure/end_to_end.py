"""Whole calls, from NumPy arrays to a NumPy array, and what their parts take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.errors import RustyError
from rusty_py.measure.document import Figure, Verification
from rusty_py.measure.sampling import HostTrack
from rusty_py.measure.work import Implementation
from rusty_py.ops.creation import asarray
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, Spec, warm_up

NAME = "NumPy to NumPy"
PARTS = ("upload", "dispatch", "GPU", "download")


class CompileMeter:
    """Times the compilation of kernels on a device of its own, once each; drivers may have them on disk."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._times_ns: dict[Spec, float] = {}
        self._other: Device | None = None

    def ns(self, launches: Sequence[Launch]) -> float:
        """The time to compile the kernels of the launches."""
        if self._other is None:
            self._other = Device(self.device.adapter, checked=self.device.checked)
        for spec in {each.spec for each in launches} - self._times_ns.keys():
            start = perf_counter_ns()
            warm_up(self._other, [spec])
            self._times_ns[spec] = float(perf_counter_ns() - start)
        return sum(self._times_ns[each] for each in {each.spec for each in launches})


@dataclass(frozen=True)
class WholeCall:
    """A call of arrays on a device: its operands on the host, the launches it makes, and its verification."""

    device: Device
    operands: Sequence[NDArray[np.generic]]
    call: Callable[..., Array]
    launches: Callable[[], Sequence[Launch]]
    compare: Callable[[NDArray[Any]], Verification]


class _Calls:
    """Calls from NumPy to NumPy, and the time of their parts."""

    def __init__(self, whole: WholeCall, compiler: CompileMeter) -> None:
        self.whole, self.compiler = whole, compiler
        self.compiled: list[Figure] | None = None
        self.result: NDArray[Any] = np.empty(0)
        self.runs = 1
        self.spent_ns = dict.fromkeys(PARTS, 0)

    def run(self, n: int) -> None:
        """Runs `n` calls."""
        device, operands, call = self.whole.device, self.whole.operands, self.whole.call
        self.runs, self.spent_ns = n, dict.fromkeys(PARTS, 0)
        for _ in range(n):
            stamps = [perf_counter_ns()]
            arrays = [asarray(each, device=device) for each in operands]
            device.wait()
            stamps.append(perf_counter_ns())
            made = call(*arrays)
            device.queue.flush()
            stamps.append(perf_counter_ns())
            device.wait()
            stamps.append(perf_counter_ns())
            self.result = made.numpy()
            stamps.append(perf_counter_ns())
            for part, (start, end) in zip(PARTS, pairwise(stamps), strict=True):
                self.spent_ns[part] += end - start

    def verify(self, once: Callable[[], None]) -> str:
        """Verifies a call, and times the compilation of its kernels the first time."""
        once()
        if self.compiled is None:
            self.compiled = self._compile()
        return self.whole.compare(self.result).fault

    def _compile(self) -> list[Figure]:
        try:
            return [Figure("compile", self.compiler.ns(self.whole.launches()), "ns")]
        except RustyError:  # A second device is not worth the measurement.
            return []

    def parts(self) -> list[Figure]:
        """The parts of the last sample, per run."""
        return [Figure(part, ns / self.runs, "ns") for part, ns in self.spent_ns.items()]


def end_to_end(whole: WholeCall, compiler: CompileMeter) -> HostTrack:
    """A call as a track: operands are uploaded, the operation is called and its result is read."""
    calls = _Calls(whole, compiler)
    implementation = Implementation(
        NAME, calls.run, calls.verify, counts=lambda: calls.compiled or [], sampled=calls.parts
    )
    return HostTrack(implementation, "wall", "whole calls, as their kernels", scope="end to end")
