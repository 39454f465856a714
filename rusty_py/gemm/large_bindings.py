"""Which part of a product binds no more of any buffer than a binding takes, and the windows it binds."""

from collections.abc import Sequence
from typing import NamedTuple

from rusty_py.dtypes import Dtype
from rusty_py.errors import LimitError
from rusty_py.gemm.problem import MatrixLayout
from rusty_py.runtime.buffer import BINDING_BYTES, Buffer, BufferBinding
from rusty_py.shapes import ceil_div


class Spans(NamedTuple):
    """The size of a part of some products: how many of them, and the rows, columns and depth of each."""

    products: int
    rows: int
    cols: int
    depth: int


_AXES = (("rows", "depth"), ("depth", "cols"), ("rows", "cols"))


def largest(
    whole: Spans,
    units: Spans,
    places: Sequence[tuple[MatrixLayout, Dtype]],
    max_bytes: int,
    *,
    operation: str,
) -> Spans:
    """A part whose a, b and c, at `places`, each lie within `max_bytes`, windows' alignment included.

    While one does not, its axis that reaches furthest in memory is halved, to a multiple of its unit. Raises
    LimitError where no such part does.
    """
    spans = whole._asdict()
    for (place, kind), name, axes in zip(places, "abc", _AXES, strict=True):
        steps = dict(zip(("products", *axes), (place.step, place.row, place.col), strict=True))
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
                    f" {place.row, place.col}; multiply smaller arrays, or NumPy's, which are cut freely"
                )
            axis = max(cuttable, key=reaches.__getitem__)
            unit = getattr(units, axis)
            spans[axis] = ceil_div(spans[axis], 2 * unit) * unit
    return Spans(**spans)


def window(
    buffer: Buffer | BufferBinding,
    place: MatrixLayout,
    products: tuple[int, int],
    rows: tuple[int, int],
    cols: tuple[int, int],
    kind: Dtype,
    max_bytes: int,
) -> tuple[Buffer | BufferBinding, MatrixLayout]:
    """What to bind for a part of matrices, and the place of all of them as seen from there.

    products: the first, and how many; rows and cols: [start, stop). A buffer that fits is itself.
    """
    if buffer.nbytes <= max_bytes or isinstance(buffer, BufferBinding):
        return buffer, place
    first, count = products
    ends = (
        (step * start, step * (stop - 1))
        for step, (start, stop) in zip(place[1:], ((first, first + count), rows, cols), strict=True)
    )
    reaches = [sorted(each) for each in ends]
    low = (place.at + sum(reach[0] for reach in reaches)) * kind.itemsize // BINDING_BYTES * BINDING_BYTES
    high = (place.at + sum(reach[1] for reach in reaches) + 1) * kind.itemsize
    nbytes = ceil_div(high - low, 4) * 4
    return BufferBinding(buffer, low, nbytes), place._replace(at=place.at - low // kind.itemsize)
