"""Kernels that a product may launch, every line of their texts, for who compiles or checks them ahead."""

from itertools import product

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.family import forms
from rusty_py.gemm.join import Join
from rusty_py.gemm.pack import Pack
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.space import FAMILIES
from rusty_py.kernel import Spec


def variants() -> list[Spec]:
    """Those of each family, and of the kernels that add up parts and pack operands."""
    specs = [each for family in FAMILIES.values() for each in family.variants()]
    specs += [Join().spec(Problem(5, 3, 7, form=form)) for form in forms()]
    for kind, along_k in product((F32, F16), (True, False)):
        specs.append(Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=kind))))
    for along_k in (True, False):
        specs.append(Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=F16, pairs=True))))
    return list(dict.fromkeys(specs))
