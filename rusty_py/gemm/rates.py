"""The rate of a kernel for given operands by a cost model, measured or estimated."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import numpy as np

from rusty_py.dtypes import F16
from rusty_py.gemm.plan import CostModel, GemmPlan

LAYOUTS = ("nn", "tn", "nt", "tt")
CLASSES = (*LAYOUTS, "scalar", "packed", "f16", "half2")
"""The classes of operands for which kernels are measured: see `CostModel`."""


def rate(plan: GemmPlan, machine: CostModel) -> float:
    """The GFLOPS of a plan's kernel with the plan's operands, if it fills the device."""
    kernel, signature = plan.kernel, plan.problem.signature
    if plan.half2:
        return machine.gflops(kernel, "half2")
    if plan.packs == "ab" and not signature.c_vec4:
        return machine.gflops(kernel, "packed")
    a_along_k = signature.a_along_k and "a" not in plan.packs
    b_along_k = signature.b_along_k and "b" not in plan.packs
    found = machine.gflops(kernel, "nt"[not a_along_k] + "nt"[b_along_k])
    nn = machine.gflops(kernel, "nn")
    scalar = (
        "a" * (not signature.a_vec4 and "a" not in plan.packs),
        "b" * (not signature.b_vec4 and "b" not in plan.packs),
    )
    if any(scalar):
        found *= machine.gflops(kernel, "scalar") / nn
    if signature.stored is F16:
        found *= machine.gflops(kernel, "f16") / nn
    return found


def fitted(
    terms: Sequence[tuple[float, ...]], gflops: Sequence[float], prior: tuple[float, ...]
) -> tuple[float, ...]:
    """The coefficients with which the terms give the seconds of 10^9 flops, by least squares of ratios.

    None is negative. With few measurements, or none, `prior` is scaled to them.
    """
    if not gflops:
        return prior
    scaled = median(1 / rate / np.dot(each, prior) for each, rate in zip(terms, gflops, strict=True))
    if len(gflops) < 2 * len(prior):
        return tuple(scaled * each for each in prior)
    table = np.array(terms) * np.array(gflops)[:, None]
    kept = list(range(len(prior)))
    while True:
        found, *_ = np.linalg.lstsq(table[:, kept], np.ones(len(table)), rcond=None)
        if (found >= 0).all():
            break
        del kept[int(np.argmin(found))]
    coefficients = [0.0] * len(prior)
    for at, value in zip(kept, found, strict=True):
        coefficients[at] = float(value)
    return tuple(coefficients)


def usual_of(rates: Iterable[Mapping[str, float]], assumed: Mapping[str, float]) -> dict[str, float]:
    """The typical rates of the classes, as fractions of "tn", by the kernels measured for both."""
    rates = list(rates)
    usual = dict(assumed)
    for name in CLASSES:
        shares = [each[name] / each["tn"] for each in rates if name in each and "tn" in each]
        if shares:
            usual[name] = median(shares)
    return usual
