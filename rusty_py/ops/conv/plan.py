"""The plan of a convolution: which algorithm computes it, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.ops.conv.select import ALGORITHMS, selected
from rusty_py.runtime.device import Device


@dataclass(frozen=True)
class ConvolutionPlan:
    """How `conv2d` computes a problem. `seconds` is the predicted time, `how` what the algorithm does."""

    problem: str
    algorithm: str
    how: str
    seconds: float
    why: str

    def __str__(self) -> str:
        return (
            f"{self.problem}: {self.algorithm}, {self.how}; predicted {self.seconds * 1e3:.3g} ms: {self.why}"
        )


def plan_of(device: Device, problem: Correlation, name: str, *, operation: str, text: str) -> ConvolutionPlan:
    """The plan of the algorithm `name` for a problem described by `text`. Raises as `selected` does."""
    algorithm = selected(device, problem, ALGORITHMS, name, operation=operation)
    how, seconds = algorithm.describe(device, problem), algorithm.seconds(device, problem)
    why = "requested" if name != "auto" else _comparison(device, problem, algorithm)
    return ConvolutionPlan(text, algorithm.name, how, seconds, why)


def _comparison(device: Device, problem: Correlation, chosen: Algorithm[Correlation]) -> str:
    """The predictions that the chosen algorithm's is lower than."""
    others = [
        (each.seconds(device, problem), each.name)
        for each in ALGORITHMS.values()
        if each is not chosen and each.automatic and each.refusal(device, problem) is None
    ]
    listed = ", ".join(f"{name} {seconds * 1e3:.3g} ms" for seconds, name in sorted(others))
    return f"the lowest prediction ({listed})" if listed else "the only algorithm for it"
