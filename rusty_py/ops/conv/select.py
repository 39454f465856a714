"""Selects the algorithm of a correlation, or of the gradient of its weights."""

from __future__ import annotations

from collections.abc import Iterable

from rusty_py.errors import LimitError, UnsupportedError
from rusty_py.ops.conv import basic, basic_weights, optimized, tuning
from rusty_py.ops.conv.algorithm import Algorithm, Problem
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation
from rusty_py.ops.conv.direct.algorithm import DIRECT
from rusty_py.ops.conv.direct.depthwise import DEPTHWISE
from rusty_py.ops.conv.direct.weights import WEIGHTS_DEPTHWISE, WEIGHTS_DIRECT
from rusty_py.ops.conv.implicit_gemm.algorithm import IMPLICIT_GEMM, WEIGHTS_IMPLICIT_GEMM
from rusty_py.ops.conv.winograd.algorithm import WEIGHTS_WINOGRAD, WINOGRAD, WINOGRAD4
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec

ALGORITHMS: dict[str, Algorithm[Correlation]] = {
    each.name: each
    for each in (
        basic.ALGORITHM,
        optimized.ALGORITHM,
        DIRECT,
        DEPTHWISE,
        WINOGRAD,
        WINOGRAD4,
        IMPLICIT_GEMM,
    )
}
"""Those for correlations, by name."""

WEIGHT_ALGORITHMS: dict[str, Algorithm[WeightCorrelation]] = {
    each.name: each
    for each in (
        basic_weights.ALGORITHM,
        WEIGHTS_DIRECT,
        WEIGHTS_DEPTHWISE,
        WEIGHTS_WINOGRAD,
        WEIGHTS_IMPLICIT_GEMM,
    )
}
"""Those for gradients of weights, by name."""


def selected(
    device: Device, problem: Problem, algorithms: dict[str, Algorithm[Problem]], name: str, *, operation: str
) -> Algorithm[Problem]:
    """The algorithm of that name; for "auto" the tuned one, or the one with the lowest predicted time.

    Raises LimitError for an unknown name, UnsupportedError for one that cannot compute the problem.
    """
    if name == "auto":
        able = automatic(device, problem, algorithms, operation=operation)
        tuned = tuning.choice(device, problem)
        return able.get(tuned.algorithm if tuned else "") or predicted(device, problem, able)
    if name not in algorithms:
        raise unknown_algorithm(operation, name, algorithms)
    algorithm = algorithms[name]
    refusal = algorithm.refusal(device, problem)
    if refusal is not None:
        raise UnsupportedError(f'{operation}: algorithm {name!r}: {refusal}; use algorithm="auto"')
    return algorithm


def unknown_algorithm(operation: str, name: object, algorithms: Iterable[str]) -> LimitError:
    """The error for a name that no algorithm has."""
    names = ", ".join(("auto", *algorithms))
    return LimitError(f"{operation}: no such algorithm: {name!r}; choose one of {names}")


def automatic(
    device: Device, problem: Problem, algorithms: dict[str, Algorithm[Problem]], *, operation: str
) -> dict[str, Algorithm[Problem]]:
    """The algorithms that "auto" may take for a problem. Raises LimitError if there is none."""
    found = [each for each in algorithms.values() if each.automatic]
    refusals = {each: each.refusal(device, problem) for each in found}
    able = {each.name: each for each, refusal in refusals.items() if refusal is None}
    if not able:
        first = next(iter(refusals.values()))
        raise LimitError(f"{operation}: {first}; add up convolutions of parts of the channels")
    return able


def predicted(device: Device, problem: Problem, able: dict[str, Algorithm[Problem]]) -> Algorithm[Problem]:
    """The algorithm with the lowest predicted time."""
    return min(able.values(), key=lambda each: each.seconds(device, problem))


def variants() -> list[Spec]:
    """The kernels of all algorithms."""
    found = [spec for each in ALGORITHMS.values() for spec in each.variants()]
    found += [spec for each in WEIGHT_ALGORITHMS.values() for spec in each.variants()]
    return list(dict.fromkeys(found))
