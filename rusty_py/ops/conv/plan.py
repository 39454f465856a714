"""The plan of a convolution: which algorithm computes it, and why."""

from __future__ import annotations

from dataclasses import dataclass

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
    seconds = {
        each.name: each.seconds(device, problem)
        for each in ALGORITHMS.values()
        if each.refusal(device, problem) is None
    }
    why = "requested" if name != "auto" else _comparison(algorithm.name, seconds)
    how = algorithm.describe(device, problem)
    return ConvolutionPlan(text, algorithm.name, how, seconds[algorithm.name], why)


def _comparison(chosen: str, seconds: dict[str, float]) -> str:
    others = sorted((each for each in seconds.items() if each[0] != chosen), key=lambda each: each[1])
    listed = ", ".join(f"{name} {time * 1e3:.3g} ms" for name, time in others)
    return f"the lowest prediction ({listed})" if listed else "the only algorithm for it"
