"""What a peer has to offer, and how long it is timed."""

import math
from typing import Protocol

from benchmarks.peers.problems import Matrix

_MAX_CALLS = 1 << 20


class Unavailable(Exception):
    """A peer cannot do this, or not on this machine; says why."""


class Product(Protocol):
    """One product on the device, its operands there already."""

    @property
    def clock(self) -> str:
        """Which clock `seconds` reads."""

    def result(self) -> Matrix:
        """The product, computed and read back."""

    def seconds(self, calls: int) -> float:
        """How long so many products take, one after the other, without transfers."""


class Peer(Protocol):
    """A library that multiplies on a device."""

    def about(self) -> dict[str, str]:
        """The device, its driver, and whatever else bears on speed."""

    def product(self, a: Matrix, b: Matrix) -> Product:
        """a @ b made ready: f32 or f16, (m, k) and (k, n) or batches of them. Raises Unavailable."""


def sample(product: Product, *, at_least_s: float, samples: int) -> tuple[int, list[float]]:
    """Calls in a sample, and seconds of one call in each: warm, and each as long as `at_least_s`.

    Raises Unavailable where the clock says nothing.
    """
    calls, took_s = 1, product.seconds(1)
    while took_s < at_least_s and calls < _MAX_CALLS:
        # Not at once: the first calls compile, and run at idle clocks.
        growth = min(10.0, max(2.0, 1.2 * at_least_s / took_s)) if took_s > 0 else 2.0
        calls = math.ceil(calls * growth)
        took_s = product.seconds(calls)
    each_s = [product.seconds(calls) / calls for _ in range(samples)]
    if min(each_s) <= 0:
        raise Unavailable(f"its time is lost in the noise: a call took {min(each_s):.3g} s by the clock")
    return calls, each_s
