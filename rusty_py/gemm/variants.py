"""Specs that cover every line of all GEMM kernels, to compile or check ahead."""

from rusty_py.gemm import compound_samples, helpers
from rusty_py.gemm.search_space import FAMILIES
from rusty_py.runtime.launch import Spec


def variants() -> list[Spec]:
    """The variants of each family, of packing and of the split-K reduction, and those with compound axes."""
    specs = [each for family in FAMILIES.values() for each in family.variants()]
    return list(dict.fromkeys([*specs, *helpers.variants(), *compound_samples.variants()]))
