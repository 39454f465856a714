"""The guard: a rate that the machine cannot reach is not printed."""

from collections.abc import Callable

TOLERANCE = 1.10
PACKED = {"f16": 2}
"""How many sums of a dtype a unit for f32 may do at once: the ceiling is measured in f32."""


def memory_ns(*, copy_gbps: float, read_gbps: float, read_bytes: int, written_bytes: int) -> float:
    """The least time that memory needs for a problem.

    Reads of as many bytes as are written go at the rate of a copy, together with the writes. The reads left
    over go at the rate of reads, which is taken to be no lower than a copy's: where our read kernel is
    slower, as on CPU drivers, that is the kernel and not the memory.
    """
    only_read = max(0, read_bytes - written_bytes)
    copied = read_bytes + written_bytes - only_read
    return copied / copy_gbps + only_read / max(copy_gbps, read_gbps)


def rejection(
    gflops: float, roofline: float, *, again: Callable[[], tuple[float, float]]
) -> tuple[str, float]:
    """(reason, roof): why a rate is refused, '' where it stands, and the roof it was held against.

    A rate above the roof has both measured `again`, as (rate, roof): the roof may have been taken on a
    slow moment. More than 10 % above the new one is refused.
    """
    if gflops <= roofline:
        return "", roofline
    second, roofline = again()
    gflops = max(gflops, second)
    if gflops <= TOLERANCE * roofline:
        return "", roofline
    return (
        f"{gflops:,.0f} GFLOPS is {gflops / roofline:.0%} of what this machine can do, {roofline:,.0f};"
        " both were measured twice",
        roofline,
    )
