"""Kernels that a product may launch, every line of their texts, for who compiles or checks them ahead."""

from collections.abc import Iterator
from itertools import product

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.join import Join
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
        # What splits a sum leaves the parts in f32.
        yield Form(**(given | {"result": F32}))  # type: ignore[arg-type]
        yield Form(**(given | {"result": F32}), sums=F16)  # type: ignore[arg-type]
        yield Form(a_fours=fours, b_fours=fours, c_fours=fours, bias=True, activation="gelu")


def blocked() -> Iterator[tuple[Blocked, Form]]:
    """The smallest kernel in each form; the others share its text, and take compilers long, in two."""
    smallest = min(BLOCKED, key=lambda each: each.block_m * each.block_n)
    for form in forms():
        yield smallest, form
    for kernel in BLOCKED:
        if kernel != smallest:
            yield kernel, Form(a_along_k=True, b_along_k=True, a_fours=False, b_fours=False, c_fours=False)
            yield kernel, Form(a_along_k=False, b_along_k=False)


def variants() -> list[Spec]:
    """A Spec for each kernel and each form, with edges and without."""
    specs = [Naive().spec(), *(Tiled(edge).spec() for edge in TILES)]
    for form in forms():
        specs.append(Join().spec(Problem(5, 3, 7, form=form)))
    for kernel, form in blocked():
        rows, cols = kernel.block
        specs.append(kernel.spec(Problem(rows + 4, 16, cols + 4, form=form)))
    for kernel in BLOCKED:
        specs.append(kernel.spec(Problem(kernel.block_m, 16, kernel.block_n)))
    return list(dict.fromkeys(specs))
