"""The plan of a convolution: which algorithm computes it, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rusty_py.ops.conv import tuning
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.ops.conv.select import ALGORITHMS, automatic, predicted, selected
from rusty_py.runtime.device import Device


@dataclass(frozen=True)
class ConvolutionPlan:
    """How `conv2d` computes a problem. `seconds` is the predicted time, `how` what the algorithm does.

    `default` is the algorithm with the lowest predicted time, and `key` the problem in the tuning file.
    """

    problem: str
    algorithm: str
    how: str
    seconds: float
    why: str
    default: str
    key: str

    def __str__(self) -> str:
        return (
            f"{self.problem}: {self.algorithm}, {self.how}; predicted {self.seconds * 1e3:.3g} ms: {self.why}"
        )


def plan_of(device: Device, problem: Correlation, name: str, *, operation: str, text: str) -> ConvolutionPlan:
    """The plan of the algorithm `name` for a problem described by `text`. Raises as `selected` does."""
    algorithm = selected(device, problem, ALGORITHMS, name, operation=operation)
    able = automatic(device, problem, ALGORITHMS, operation=operation)
    return ConvolutionPlan(
        text,
        algorithm.name,
        algorithm.describe(device, problem),
        algorithm.seconds(device, problem),
        "requested" if name != "auto" else _reason(device, problem, algorithm, able),
        predicted(device, problem, able).name,
        tuning.key_of(problem),
    )


def _reason(
    device: Device,
    problem: Correlation,
    chosen: Algorithm[Correlation],
    able: dict[str, Algorithm[Correlation]],
) -> str:
    """That it was tuned, or the predictions that the chosen algorithm's is lower than."""
    tuned = tuning.choice(device, problem)
    if tuned and tuned.algorithm == chosen.name:
        return tuned.why
    others = [(each.seconds(device, problem), each.name) for each in able.values() if each is not chosen]
    listed = ", ".join(f"{name} {seconds * 1e3:.3g} ms" for seconds, name in sorted(others))
    return f"the lowest prediction ({listed})" if listed else "the only algorithm for it"
