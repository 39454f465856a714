"""How fast each kernel runs on a device, so that one submission stays short; and how to wait for it."""

import os
import time
from collections.abc import Hashable

# Native calls do not answer Ctrl-C, and drivers kill what runs for seconds. Half a second is the most
# a submission may take; this leaves room for a pace that is off by two.
SUBMISSION_SECONDS = 0.2
_LONG_SECONDS = SUBMISSION_SECONDS / 4

# Flops a second, by adapter type, of the slow members of each kind: the first submission is short
# rather than long.
_UNSEEN = {"CPU": 0.2e9, "IntegratedGPU": 20e9, "DiscreteGPU": 200e9}


class Throughput:
    """Flops a second by kernel: a cautious guess at first, then what was last seen."""

    def __init__(self, adapter_type: str) -> None:
        self._unseen = _UNSEEN.get(adapter_type, 20e9)
        self._seen: dict[Hashable, float] = {}
        self.version = 0
        """Counts the rates that were seen: what was derived from them may have to be derived anew."""
        self._met: set[Hashable] = set()

    def rate(self, kernel: Hashable) -> float:
        return self._seen.get(kernel, self._unseen)

    def flops(self, kernel: Hashable, *, seconds: float = SUBMISSION_SECONDS) -> int:
        """The work that takes `kernel` about `seconds`; 1 at least."""
        return max(1, int(self.rate(kernel) * seconds))

    def knows(self, kernel: Hashable) -> bool:
        """Whether the rate is more than a guess."""
        return kernel in self._seen

    def worth_timing(self, kernel: Hashable, flops: int) -> bool:
        """Whether a launch may take so long that it is worth a wait to know more."""
        return flops > _LONG_SECONDS * self._unseen and kernel not in self._seen

    def observe(self, kernel: Hashable, *, flops: int, seconds: float) -> None:
        """Remembers the rate of a submission, unless it was the first or too small to tell.

        Drivers compile at a kernel's first run; and below 2 ms, or a tenth of a submission's work, it is
        the launch that takes the time: there the kernel is faster than it looks, and only that is kept.
        """
        if kernel not in self._met:
            self._met.add(kernel)
        elif flops > 0.1 * self.flops(kernel) and (seconds > 2e-3 or flops > seconds * self.rate(kernel)):
            self._seen[kernel] = flops / seconds
            self.version += 1


def nap(waited_s: float, *, awake_s: float) -> None:
    """Lets others run between two polls: for `awake_s` without sleeping, since short work is done by then.

    Later it sleeps for a five-hundredth of the wait so far, which blurs a wall clock by no more than that,
    or for as short as the system can.
    """
    if waited_s < awake_s:
        _yield()
    else:
        time.sleep(min(1e-3, waited_s / 500))


_yield = getattr(os, "sched_yield", lambda: time.sleep(0))
