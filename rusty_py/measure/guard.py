"""The guard: a rate that the machine cannot reach is not printed."""

from collections.abc import Callable

TOLERANCE = 1.10
PACKED = {"f16": 2}
"""How many sums of a dtype a unit for f32 may do at once: the ceiling is measured in f32."""


def roof_gflops(*, fma_gflops: float, copy_gbps: float, flops: int, nbytes: int) -> float:
    """What arithmetic and memory allow a problem of `flops` that must move `nbytes` (the roofline)."""
    return min(fma_gflops, copy_gbps * flops / nbytes)


def rejection(gflops: float, roof: float, *, again: Callable[[], tuple[float, float]]) -> tuple[str, float]:
    """(reason, roof): why a rate is refused, '' where it stands, and the roof it was held against.

    A rate above the roof has both measured `again`, as (rate, roof): the roof may have been taken on a
    slow moment. More than 10 % above the new one is refused.
    """
    if gflops <= roof:
        return "", roof
    second, roof = again()
    gflops = max(gflops, second)
    if gflops <= TOLERANCE * roof:
        return "", roof
    return (
        f"{gflops:,.0f} GFLOPS is {gflops / roof:.0%} of what this machine can do, {roof:,.0f};"
        " both were measured twice",
        roof,
    )
