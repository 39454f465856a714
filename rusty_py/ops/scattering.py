"""Sums of elements that have the same index: the gradient of choosing, and its kernels.

They use no atomic additions of floats, so equal operands give equal bits.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from math import prod
from typing import NamedTuple

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, I32, U32, Dtype
from rusty_py.ops.creation import FULL
from rusty_py.ops.grid import THREADS, groups_for
from rusty_py.ops.sorted_sums import by_runs
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

ROW_INDICES = 1 << 26
"""Up to as many indices are looked at by the workgroups of all rows; with more, sorting takes less time."""

SHORT_LINE = 256
"""Up to as many indices one thread adds the elements of a line, which takes half a microsecond each."""

_COLUMNS = 1024  # Of a workgroup of scatter_rows.
_ROW_OF = {
    "i32": "fn row_of(i: i32) -> u32 {\n    return u32(i) + select(0u, uniforms.rows, i < 0);\n}\n",
    "u32": "fn row_of(i: u32) -> u32 {\n    return i;\n}\n",
}


class Rows(NamedTuple):
    """Sums into (outer, rows, inner) of (outer, n, inner) elements."""

    outer: int
    n: int
    rows: int
    inner: int


def scatter_add(x: Array, index: Array, size: Rows, *, operation: str) -> Array:
    """out[o, r, q]: the sum of x[o, j, q] over all j with index[j] = r, or index[o, j, q] = r.

    x has the elements of (outer, n, inner), in any shape; index of (n,) or (outer, n, inner), in any layout.
    Added up in float32, in the order of j. The result, (outer, rows, inner), has the dtype of x.
    """
    device, kind = x.device, x.kind
    out_shape = (size.outer, size.rows, size.inner)
    if not x.size or not prod(out_shape):
        return FULL.forward(0, device=device, shape=out_shape, dtype=kind)
    x = x if x.contiguous else x.copy()
    way = _way(device, size) if index.ndim == 1 else "lines"
    if way == "rows":
        out = allocate(device, out_shape, F32, operation=operation)
        by_rows(x, index, size, out, operation=operation)
        return out.astype(kind, copy=False)
    out = FULL.forward(0, device=device, shape=out_shape, dtype=F32)
    if way == "lines":
        by_lines(x, index, size, out, operation=operation)
    else:
        by_runs(x, index, size.outer, size.rows, size.inner, out, operation=operation)
    return out.astype(kind, copy=False)


def _way(device: Device, size: Rows) -> str:
    """By lines, one element after the other; by rows, whose workgroups look at all indices; or by runs."""
    looks = size.outer * size.rows * ceil_div(size.inner, _COLUMNS) * size.n
    if device.adapter.type == "CPU" or size.n <= SHORT_LINE:
        return "lines"
    return "rows" if looks <= ROW_INDICES else "runs"


def by_lines(x: Array, index: Array, size: Rows, out: Array, *, operation: str) -> None:
    """`scatter_add` to `out`, which has zeros, by one thread for each o and q."""
    device, lines = x.device, size.outer * size.inner
    groups = groups_for(device, lines, operation=operation, steps=1)
    strides = index.strides if index.ndim == 3 else (0, *index.strides, 0)
    turns = ceil_div(lines, groups * THREADS)
    step = max(1, device.limits.loop_steps // turns - 1)
    for first in range(0, size.n, step):
        end = min(first + step, size.n)
        launch(
            device,
            spec("lines", x.kind, index.kind),
            inputs=[x.buffer, index.buffer],
            outputs=[out.buffer],
            uniforms=(
                *(lines, size.inner, size.n, size.rows, first, end, x.offset, index.offset),
                *(stride & 0xFFFFFFFF for stride in strides),
                0,
            ),
            workgroups=(groups, 1, 1),
            flops=lines * (end - first) * 4,
        )


def by_rows(x: Array, index: Array, size: Rows, out: Array, *, operation: str) -> None:
    """`scatter_add` into `out` by a workgroup for each row, for an index of one axis."""
    device = x.device
    blocks = size.outer * size.rows * ceil_div(size.inner, _COLUMNS)
    groups = min(blocks, device.limits.groups)
    (stride,) = index.strides
    launch(
        device,
        spec("rows", x.kind, index.kind),
        inputs=[x.buffer, index.buffer],
        outputs=[out.buffer],
        uniforms=(blocks, size.inner, size.n, size.rows, x.offset, index.offset, stride & 0xFFFFFFFF),
        workgroups=(groups, 1, 1),
        flops=blocks * size.n + x.size,
    )


@cache
def spec(kernel: str, kind: Dtype, index: Dtype) -> Spec:
    """The kernel "lines" or "rows" for elements of `kind` and such indices."""
    text = f"alias elem = {kind.wgsl};\nalias number = {index.wgsl};\n{_ROW_OF[index.wgsl]}"
    shared = 128 if kernel == "rows" else 0
    name = f"indexing/scatter_{kernel}"
    return Spec(name, 2, 1, THREADS, shared, definitions=text, variant=f"{kind.name} by {index.name}")


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    return [spec(*each) for each in product(("lines", "rows"), (F32, F16), (I32, U32))]
