"""Measured throughput per kernel, to limit the duration of submissions; and the polling backoff."""

import os
import time
from collections.abc import Hashable

# Ctrl-C does not interrupt native calls, and drivers kill work that runs for seconds. A submission may take
# at most half a second; this leaves room for a throughput estimate that is off by a factor of two.
SUBMISSION_SECONDS = 0.2
_LONG_SECONDS = SUBMISSION_SECONDS / 4

# Initial flops per second by adapter type, low enough for slow devices: the first submission should rather be
# too short than too long.
_UNSEEN = {"CPU": 0.2e9, "IntegratedGPU": 20e9, "DiscreteGPU": 200e9}


class Throughput:
    """Flops per second by kernel: a low initial guess, then the last measured value."""

    def __init__(self, adapter_type: str) -> None:
        self._unseen = _UNSEEN.get(adapter_type, 20e9)
        self._seen: dict[Hashable, float] = {}
        self.version = 0
        """Incremented by every measurement, so that derived values can be updated."""
        self._met: set[Hashable] = set()

    def rate(self, kernel: Hashable) -> float:
        return self._seen.get(kernel, self._unseen)

    def flops(self, kernel: Hashable, *, seconds: float = SUBMISSION_SECONDS) -> int:
        """The flops that `kernel` computes in about `seconds`; at least 1."""
        return max(1, int(self.rate(kernel) * seconds))

    def assume(self, rate: float) -> None:
        """Sets the initial guess for kernels that have not been measured, in flops per second."""
        self._unseen = rate

    def knows(self, kernel: Hashable) -> bool:
        """Whether the kernel has been measured."""
        return kernel in self._seen

    def worth_timing(self, kernel: Hashable, flops: int) -> bool:
        """Whether a launch may be long and its kernel has not been measured yet."""
        return flops > _LONG_SECONDS * self._unseen and kernel not in self._seen

    def observe(self, kernel: Hashable, *, flops: int, seconds: float) -> None:
        """Stores the throughput of a submission, unless it is the kernel's first or too short.

        Drivers compile at a kernel's first run. Below 2 ms, or a tenth of a submission's work, launch
        overhead dominates: then only a throughput above the current one is stored.
        """
        if kernel not in self._met:
            self._met.add(kernel)
        elif flops > 0.1 * self.flops(kernel) and (seconds > 2e-3 or flops > seconds * self.rate(kernel)):
            self._seen[kernel] = flops / seconds
            self.version += 1


def nap(waited_s: float, *, awake_s: float) -> None:
    """The pause between two polls: yields for the first `awake_s`, then sleeps.

    It sleeps for 1/500 of the wait so far, which limits the error of wall-clock times to that, or for the
    shortest time the system supports.
    """
    if waited_s < awake_s:
        _yield()
    else:
        time.sleep(min(1e-3, waited_s / 500))


_yield = getattr(os, "sched_yield", lambda: time.sleep(0))
