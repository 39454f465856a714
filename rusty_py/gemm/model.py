"""The cost model of a device, made of its profile."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from rusty_py.gemm.family import KernelFamily
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import CostModel
from rusty_py.gemm.rates import CLASSES, fitted, usual_of
from rusty_py.gemm.search_space import FAMILIES, family_name, from_data
from rusty_py.profile.record import Profile
from rusty_py.profile.store import profile_of
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.device import Device


def cost_model(device: Device) -> CostModel:
    """The cost model of a device, made once for its limits, its kind and its profile."""
    found: CostModel | None = device.attachments.get(CostModel)
    now = (device.limits, device.adapter.is_cpu, profile_of(device))
    if found is None or (found.limits, found.cpu, found.profile) != now:
        found = device.attachments[CostModel] = model_of(*now)
    return found


@lru_cache(64)
def model_of(limits: Limits, cpu: bool, profile: Profile) -> CostModel:
    """The cost model of a device with these limits. Rates of unknown kernels and classes are ignored."""
    rates: dict[KernelConfig, Mapping[str, float]] = {}
    for each in profile.kernels:
        known = {name: each.gflops[name] for name in CLASSES if name in each.gflops}
        try:
            rates[from_data(each.kernel)] = known
        except ValueError:  # Of another version of rusty_py, or damaged.
            continue
    usual, coefficients = {}, {}
    for name, family in FAMILIES.items():
        own = {kernel: each for kernel, each in rates.items() if family_name(kernel) == name}
        usual[name] = usual_of(own.values(), family.usual)
        coefficients[name] = _coefficients(family, own, usual[name], profile)

    def formula(kernel: KernelConfig) -> float:
        name = family_name(kernel)
        seconds = float(np.dot(coefficients[name], FAMILIES[name].terms(kernel)))
        return 1 / max(seconds, 1 / profile.fma_gflops)  # Whatever the fit, arithmetic takes some time.

    return CostModel(limits, cpu, profile, rates, formula, lambda kernel: usual[family_name(kernel)])


def _coefficients(
    family: KernelFamily,
    rates: Mapping[KernelConfig, Mapping[str, float]],
    usual: Mapping[str, float],
    profile: Profile,
) -> tuple[float, ...]:
    """The coefficients of a family's terms: by its kernels' rates, else a share of the arithmetic ceiling."""
    measured = {
        kernel: each["tn"] if "tn" in each else each["nn"] / usual["nn"]
        for kernel, each in rates.items()
        if "tn" in each or "nn" in each
    }
    assumed = tuple(each / (_TYPICAL * profile.fma_gflops) for each in family.coefficients)
    return fitted([family.terms(kernel) for kernel in measured], list(measured.values()), assumed)


_TYPICAL = 0.75
"""The fraction of the arithmetic ceiling that the fastest kernels reach."""
