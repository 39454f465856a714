"""Specs that cover every line of all GEMM kernels, to compile or check ahead."""

from rusty_py.gemm import helpers
from rusty_py.gemm.search_space import FAMILIES
from rusty_py.runtime.launch import Spec


def variants() -> list[Spec]:
    """The variants of each family, of packing and of the split-K reduction."""
    specs = [each for family in FAMILIES.values() for each in family.variants()]
    return list(dict.fromkeys([*specs, *helpers.variants()]))
