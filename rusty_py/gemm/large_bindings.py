"""Operands larger than one binding: blocks whose parts of a, b and c each fit, and their bindings."""

from collections.abc import Sequence
from typing import NamedTuple

from rusty_py.dtypes import Dtype
from rusty_py.errors import LimitError
from rusty_py.gemm.problem import MatrixLayout
from rusty_py.runtime.buffer import BINDING_BYTES, Buffer, BufferBinding
from rusty_py.shapes import ceil_div


class Spans(NamedTuple):
    """The size of a block: the number of products, and the rows, columns and depth of each."""

    products: int
    rows: int
    cols: int
    depth: int


_AXES = (("rows", "depth"), ("depth", "cols"), ("rows", "cols"))


def largest(
    whole: Spans,
    units: Spans,
    layouts: Sequence[tuple[MatrixLayout, Dtype]],
    max_bytes: int,
    *,
    operation: str,
) -> Spans:
    """A block whose parts of a, b and c, with these layouts, each span at most `max_bytes`, aligned.

    While one exceeds that, its axis with the largest extent in memory is halved, to a multiple of its unit.
    Raises LimitError if no block fits.
    """
    spans = whole._asdict()
    for (layout, kind), name, axes in zip(layouts, "abc", _AXES, strict=True):
        steps = dict(
            zip(("products", *axes), (layout.batch_stride, layout.row_stride, layout.col_stride), strict=True)
        )
        while True:
            reaches = {axis: (spans[axis] - 1) * abs(step) for axis, step in steps.items()}
            nbytes = (sum(reaches.values()) + 1) * kind.itemsize + BINDING_BYTES
            if nbytes <= max_bytes:
                break
            cuttable = [axis for axis in reaches if reaches[axis] and spans[axis] > getattr(units, axis)]
            if not cuttable:
                raise LimitError(
                    f"{operation}: no part of {name} fits a binding: {nbytes} > {max_bytes} bytes for"
                    f" {spans['rows']}×{spans['depth']}×{spans['cols']}, its strides are"
                    f" {layout.row_stride, layout.col_stride}; use smaller arrays or NumPy arrays"
                )
            axis = max(cuttable, key=reaches.__getitem__)
            unit = getattr(units, axis)
            spans[axis] = ceil_div(spans[axis], 2 * unit) * unit
    return Spans(**spans)


def bind_part(
    buffer: Buffer | BufferBinding,
    layout: MatrixLayout,
    products: tuple[int, int],
    rows: tuple[int, int],
    cols: tuple[int, int],
    kind: Dtype,
    max_bytes: int,
) -> tuple[Buffer | BufferBinding, MatrixLayout]:
    """The binding for a block of matrices, and the layout relative to that binding.

    products: (first, count); rows and cols: [start, stop). A buffer that fits is returned unchanged.
    """
    if buffer.nbytes <= max_bytes or isinstance(buffer, BufferBinding):
        return buffer, layout
    first, count = products
    ends = (
        (step * start, step * (stop - 1))
        for step, (start, stop) in zip(layout[1:], ((first, first + count), rows, cols), strict=True)
    )
    reaches = [sorted(each) for each in ends]
    low = (
        (layout.offset + sum(reach[0] for reach in reaches)) * kind.itemsize // BINDING_BYTES * BINDING_BYTES
    )
    high = (layout.offset + sum(reach[1] for reach in reaches) + 1) * kind.itemsize
    nbytes = ceil_div(high - low, 4) * 4
    return BufferBinding(buffer, low, nbytes), layout._replace(offset=layout.offset - low // kind.itemsize)
