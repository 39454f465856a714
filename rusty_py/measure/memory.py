"""The device memory that a call takes."""

from collections.abc import Callable

from rusty_py.arrays import Array
from rusty_py.runtime.device import Device
from rusty_py.runtime.pool import size_class


def pool_bytes(device: Device, call: Callable[[], Array]) -> tuple[int, int]:
    """What a call takes from an empty pool at most, and how much of it is not the result.

    Exact up to the size of the pool's cache, 1 GiB of temporaries.
    """
    device.pool.purge()
    before = device.pool_stats()
    result = call()
    device.wait()
    after = device.pool_stats()
    taken = after.live_bytes + after.cached_bytes - before.live_bytes
    return taken, taken - size_class(result.nbytes)
