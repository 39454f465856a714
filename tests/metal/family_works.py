"""Products by the kernels that CPU drivers and thin products are given: in each of their texts."""

from collections.abc import Iterator
from dataclasses import replace

from rusty_py.gemm import gemv, register_tiled, register_tiled_cpu
from rusty_py.gemm.gemv import GEMV_N, GEMV_T
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import Signature
from rusty_py.gemm.register_tiled import SMALLEST

from ..ops.placed import PlacedProduct


def direct_products() -> Iterator[PlacedProduct]:
    """More than one workgroup along each axis, the last ones with edges."""
    for kernel in register_tiled_cpu.SMALL:
        rows, cols = kernel.block
        for signature in register_tiled_cpu.signatures():
            more = 4 if signature.a_vec4 else 3
            yield of_form(kernel, signature, rows + more, 2 * kernel.step + more, cols + more)
        yield replace(of_form(kernel, Signature(), 8, 36, 20), products=2, split_k=3)
        odd = of_form(kernel, list(register_tiled_cpu.signatures())[3], 5, 37, 19)
        yield replace(odd, add=True, limits={"loop_steps": kernel.loops(16)})


def register_tiled_products() -> Iterator[PlacedProduct]:
    """Each kernel in each of its texts: over the edge of a workgroup; the smallest without edges, too."""
    for kernel, signature in register_tiled.kernels():
        rows, cols = kernel.block
        more = 4 if signature.a_vec4 else 3
        yield of_form(kernel, signature, rows + more, 2 * kernel.step + more, cols + more)
    rows, cols = SMALLEST.block
    whole = of_form(SMALLEST, Signature(), 2 * rows, 24, cols)
    yield replace(whole, products=2)
    yield replace(whole, split_k=3, add=True)
    yield of_form(SMALLEST, Signature(), rows - 4, 12, cols - 8)
    odd = Signature(a_vec4=False, b_vec4=False, c_vec4=False, bias=True, activation="gelu")
    over = of_form(SMALLEST, odd, rows + 3, 37, cols + 5)
    yield replace(over, add=True, limits={"loop_steps": SMALLEST.loops(16)})


def thin_products() -> Iterator[PlacedProduct]:
    """Each kernel in each of its texts; then the first of them turned, in parts, and adding."""
    kernels: list[KernelConfig] = [*GEMV_N.values(), *GEMV_T.values()]
    for kernel in kernels:
        b_along_k = kernel in GEMV_T.values()
        rows, cols = kernel.block
        for signature in gemv.signatures(b_along_k=b_along_k):
            more = 4 if signature.a_vec4 else 3
            yield of_form(kernel, signature, rows, kernel.loops(0) * 128 + more, cols + more)
    for kernel in (GEMV_N[2], GEMV_T[2]):
        along, across = ("columns", "rows") if kernel is GEMV_T[2] else ("rows", "columns")
        yield PlacedProduct(kernel, 1, 1, 1, b_order=along, bias=True, activation="relu")
        yield PlacedProduct(kernel, 2, 4, 8, split_k=4, b_order=along, vec4=True)
        transposed = PlacedProduct(
            kernel, 133, 77, 3, a_order=across, transposed=True, bias=True, activation="relu"
        )
        yield transposed
        yield replace(transposed, add=True, limits={"groups": 2}, c_order="upside down")
        whole = PlacedProduct(
            kernel, 132, 76, 4, a_order=across, b_order="columns", transposed=True, vec4=True
        )
        yield replace(whole, products=2, split_k=3, start=3)


def of_form(kernel: KernelConfig, signature: Signature, m: int, k: int, n: int) -> PlacedProduct:
    """A product of operands that lie as the form says."""
    return PlacedProduct(
        kernel,
        m,
        k,
        n,
        vec4=signature.a_vec4,
        a_order="rows" if signature.a_along_k else "columns",
        b_order="columns" if signature.b_along_k else "rows",
        bias=signature.bias,
        activation=signature.activation,
        stored=signature.stored,
        result=signature.result,
    )
