"""Products by the kernels that CPU drivers and thin products are given: in each of their texts."""

from collections.abc import Iterator
from dataclasses import replace

from rusty_py.gemm import direct, thin
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Form
from rusty_py.gemm.thin import COLUMNS, DOTS

from ..ops.placed import PlacedProduct


def direct_products() -> Iterator[PlacedProduct]:
    """More than one workgroup along each axis, the last ones with edges."""
    for kernel in direct.SMALL:
        rows, cols = kernel.block
        for form in direct.forms():
            more = 4 if form.a_fours else 3
            yield of_form(kernel, form, rows + more, 2 * kernel.step + more, cols + more)
        yield replace(of_form(kernel, Form(), 8, 36, 20), products=2, splits=3)
        odd = of_form(kernel, list(direct.forms())[3], 5, 37, 19)
        yield replace(odd, add=True, limits={"loop_steps": kernel.loops(16)})


def thin_products() -> Iterator[PlacedProduct]:
    """Each kernel in each of its texts; then the first of them turned, in parts, and adding."""
    kernels: list[Kernel] = [*COLUMNS.values(), *DOTS.values()]
    for kernel in kernels:
        b_along_k = kernel in DOTS.values()
        rows, cols = kernel.block
        for form in thin.forms(b_along_k=b_along_k):
            more = 4 if form.a_fours else 3
            yield of_form(kernel, form, rows, kernel.loops(0) * 128 + more, cols + more)
    for kernel in (COLUMNS[2], DOTS[2]):
        along, across = ("columns", "rows") if kernel is DOTS[2] else ("rows", "columns")
        yield PlacedProduct(kernel, 1, 1, 1, b_order=along, bias=True, activation="relu")
        yield PlacedProduct(kernel, 2, 4, 8, splits=4, b_order=along, fours=True)
        turned = PlacedProduct(kernel, 133, 77, 3, a_order=across, turned=True, bias=True, activation="relu")
        yield turned
        yield replace(turned, add=True, limits={"groups": 2}, c_order="upside down")
        whole = PlacedProduct(kernel, 132, 76, 4, a_order=across, b_order="columns", turned=True, fours=True)
        yield replace(whole, products=2, splits=3, start=3)


def of_form(kernel: Kernel, form: Form, m: int, k: int, n: int) -> PlacedProduct:
    """A product of operands that lie as the form says."""
    return PlacedProduct(
        kernel,
        m,
        k,
        n,
        fours=form.a_fours,
        a_order="rows" if form.a_along_k else "columns",
        b_order="columns" if form.b_along_k else "rows",
        bias=form.bias,
        activation=form.activation,
        stored=form.stored,
        result=form.result,
    )
