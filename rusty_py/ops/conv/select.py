"""Selects the algorithm of a correlation."""

from __future__ import annotations

from rusty_py.errors import UnsupportedError
from rusty_py.ops.conv import basic
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.runtime.device import Device

ALGORITHMS: dict[str, Algorithm[Correlation]] = {each.name: each for each in (basic.ALGORITHM,)}
"""By name."""


def selected(device: Device, problem: Correlation, name: str, *, operation: str) -> Algorithm[Correlation]:
    """The algorithm of that name; for "auto" the one with the lowest predicted time.

    Raises UnsupportedError for one that cannot compute the problem.
    """
    if name == "auto":
        able = [each for each in ALGORITHMS.values() if each.refusal(device, problem) is None]
        return min(able, key=lambda each: each.seconds(device, problem))
    algorithm = ALGORITHMS[name]
    refusal = algorithm.refusal(device, problem)
    if refusal is not None:
        raise UnsupportedError(f'{operation}: algorithm {name!r}: {refusal}; use algorithm="auto"')
    return algorithm
