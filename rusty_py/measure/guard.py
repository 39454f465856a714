"""The plausibility guard: rejects times below the measured roofline."""

from collections.abc import Callable

TOLERANCE = 1.10
PACKED = {"f16": 2}
"""Operations per f32 operation by accumulator dtype: the arithmetic ceiling is measured in f32."""


def memory_ns(*, copy_gbps: float, read_gbps: float, read_bytes: int, written_bytes: int) -> float:
    """The minimum time for the memory traffic of a problem.

    Writes, and as many bytes of reads, are counted at copy bandwidth; the remaining reads at read bandwidth.
    The latter is at least the copy bandwidth: if the read kernel is slower, as on CPU drivers, the kernel is
    the limit and not the memory.
    """
    only_read = max(0, read_bytes - written_bytes)
    copied = read_bytes + written_bytes - only_read
    return copied / copy_gbps + only_read / max(copy_gbps, read_gbps)


def rejection(
    ns: float, roofline_ns: float, *, again: Callable[[], tuple[float, float]]
) -> tuple[str, float]:
    """(reason, roofline): why a time is rejected ('' if it is accepted), and the roofline used.

    If the time is below the roofline, both are measured `again`, since the roofline may have been measured at
    a slow moment. A time more than 10 % below the new roofline is rejected.
    """
    if ns >= roofline_ns:
        return "", roofline_ns
    second, roofline_ns = again()
    ns = min(ns, second)
    if TOLERANCE * ns >= roofline_ns:
        return "", roofline_ns
    return (
        f"{ns / 1e3:,.3g} us is {roofline_ns / ns:.0%} of the rate that this machine can reach,"
        f" {roofline_ns / 1e3:,.3g} us; both were measured twice",
        roofline_ns,
    )
