"""Every kernel text that a product may launch, for who compiles or checks them ahead."""

from collections.abc import Iterator
from itertools import product

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.join import Join
from rusty_py.gemm.pack import Pack
from rusty_py.gemm.plan import BLOCKED
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.kernel import Spec


def forms() -> Iterator[Form]:
    """Enough for each line of the texts: the layouts, by fours and not, the types, what follows."""
    for a_along_k, b_along_k, fours in product((True, False), repeat=3):
        yield Form(a_along_k, b_along_k, a_fours=fours, b_fours=fours, c_fours=fours)
    for fours in (True, False):
        given = {"a_fours": fours, "b_fours": fours, "c_fours": fours, "stored": F16, "result": F16}
        yield Form(**given)  # type: ignore[arg-type]
        yield Form(**given, sums=F16)  # type: ignore[arg-type]
        yield Form(a_fours=fours, b_fours=fours, c_fours=fours, bias=True, activation="gelu")


def variants() -> list[Spec]:
    """One Spec for each kernel and form, with edges and without."""
    specs = [Naive().spec(), *(Tiled(edge).spec() for edge in TILES)]
    for form in forms():
        specs.append(Join().spec(Problem(5, 3, 7, form=form)))
        for kernel in BLOCKED:
            rows, cols = kernel.block
            specs.append(kernel.spec(Problem(rows + 4, 16, cols + 4, form=form)))
    for kernel in BLOCKED:
        rows, cols = kernel.block
        specs.append(kernel.spec(Problem(rows, 16, cols)))
        specs.append(kernel.spec(Problem(rows - 4, 16, cols - 4)))
    for kind, along_k in product((F32, F16), (True, False)):
        specs.append(Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=kind))))
    return list(dict.fromkeys(specs))
