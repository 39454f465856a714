"""Kernels that a product may launch, every line of their texts, to compile or check them ahead."""

from rusty_py.gemm import helpers
from rusty_py.gemm.search_space import FAMILIES
from rusty_py.runtime.launch import Spec


def variants() -> list[Spec]:
    """Those of each family, and of the kernels that pack operands and add up parts."""
    specs = [each for family in FAMILIES.values() for each in family.variants()]
    return list(dict.fromkeys([*specs, *helpers.variants()]))
