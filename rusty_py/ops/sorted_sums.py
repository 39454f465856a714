"""Sums of elements with equal indices, for many indices: sorted by their index first, then by runs.

The sort is stable, and the sums are formed in chunks: equal operands give equal bits, and the rounding error
grows with the logarithm of the number of equal indices.
"""

from __future__ import annotations

from functools import cache

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, I32, U32, Dtype
from rusty_py.ops import generator
from rusty_py.ops.compute import compute
from rusty_py.ops.distances import WRAPPED
from rusty_py.ops.gathering import gather
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.grid import THREADS
from rusty_py.ops.sort.kernels import sort_rows
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

_CHUNK = 32


def by_runs(x: Array, index: Array, outer: int, rows: int, inner: int, out: Array, *, operation: str) -> None:
    """out[o, r, q]: the sum of x[o, j, q] over all j with index[j] = r.

    x: (outer, n, inner), contiguous; index: (n,); out: (outer, rows, inner) zeros.
    """
    n = index.size
    keys = allocate(x.device, (n,), U32, operation=operation)
    compute(_key(index.kind), (index, rows), keys)
    order = sort_rows(keys, 1, n, indices=True, descending=False)
    ordered = gather(keys, [order], axes=(0,), at=0, operation=operation)
    sums, has_order = x, True
    while True:
        sums, ordered = _pass(sums, ordered, order if has_order else None, outer, rows, inner, out, operation)
        has_order = False
        if ordered.size == 0:
            return


def _pass(
    x: Array,
    keys: Array,
    order: Array | None,
    outer: int,
    rows: int,
    inner: int,
    out: Array,
    operation: str,
) -> tuple[Array, Array]:
    """One pass over sorted keys: what is left of it are the partial sums and their keys, if any."""
    device, n, columns = x.device, keys.size, outer * inner
    chunks = ceil_div(n, _CHUNK)
    slots = 2 * chunks if chunks > 1 else 0
    sums = allocate(device, (slots, columns), F32, operation=operation)
    partial_keys = allocate(device, (slots,), U32, operation=operation)
    width = min(THREADS, 1 << (columns - 1).bit_length())
    groups = (
        min(ceil_div(chunks * width, THREADS), device.limits.groups),
        min(ceil_div(columns, width), device.limits.groups),
    )
    # Partial sums have the columns side by side; they are one o of as many elements.
    x_outer = n * inner if order is not None else inner
    words = (n, chunks, columns, inner, rows, x.offset, x_outer, width, int(chunks == 1))
    launch(
        device,
        spec(x.kind, ordered=order is not None),
        inputs=[x.buffer, keys.buffer, *([order.buffer] if order is not None else [])],
        outputs=[out.buffer, sums.buffer, partial_keys.buffer],
        uniforms=words,
        workgroups=(*groups, 1),
        flops=n * columns * 4,
    )
    return sums, partial_keys


def _key(index: Dtype) -> Body:
    """The row of an index; that after the last for one out of bounds."""
    text = WRAPPED[index.wgsl]
    return Body(f"row {index.name}", (index.wgsl, "u32"), "u32", "min(wrapped(x, y), y)", text)


@cache
def spec(kind: Dtype, *, ordered: bool) -> Spec:
    """The kernel of the first pass, which has an order, or of others."""
    number = 3 if ordered else 2
    text = f"alias elem = {kind.wgsl};\n"
    text += "@group(0) @binding(0) var<storage, read> x: array<elem>;\n"
    text += "@group(0) @binding(1) var<storage, read> keys: array<u32>;\n"
    if ordered:
        text += "@group(0) @binding(2) var<storage, read> order: array<i32>;\n"
    for i, (name, held) in enumerate((("out", "f32"), ("partial_sums", "f32"), ("partial_keys", "u32"))):
        text += f"@group(0) @binding({number + i}) var<storage, read_write> {name}: array<{held}>;\n"
    text += f"@group(0) @binding({number + 3}) var<uniform> uniforms: Uniforms;\n"
    row = "u32(order[p])" if ordered else "p * (uniforms.columns / uniforms.inner)"
    text += f"fn row_at(p: u32) -> u32 {{\n    return {row};\n}}\n"
    variant = f"{kind.name}{' in order' if ordered else ''}"
    return Spec("indexing/scatter_runs", number, 3, THREADS, definitions=text, variant=variant)


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    keys = [generator.spec(_key(kind), Skeleton("flat", 4, ("vec4", "number"))) for kind in (I32, U32)]
    return [spec(F32, ordered=True), spec(F16, ordered=True), spec(F32, ordered=False), *keys]
