"""What is reduced, and the launches that reduce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import U32, Dtype
from rusty_py.layout import Layout, layout_of
from rusty_py.ops import windows
from rusty_py.ops.compute import compute
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import Body
from rusty_py.ops.reduce.box import Box, box_of, rows_box
from rusty_py.ops.reduce.kernels import Stage, fits
from rusty_py.ops.reduce.launches import columns_aligned, form_of, launch_pass
from rusty_py.ops.reduce.passes import passes
from rusty_py.ops.reduce.reduction import Reduction
from rusty_py.profile.store import profile_of
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.views import Shape, broadcast_strides


@dataclass(frozen=True, eq=False)
class Source:
    """The elements of a reduction: `body` of the operands, arrays or the words of numbers, in `shape`.

    `dtype` is that of the expression's values. The arrays' shapes broadcast to `shape`.
    """

    body: Body
    dtype: Dtype
    operands: tuple[Array | int, ...]
    shape: Shape

    @property
    def arrays(self) -> list[Array]:
        """The operands that are arrays."""
        return [each for each in self.operands if isinstance(each, Array)]


def source_of(x: Array) -> Source:
    """The elements of an array: as they are, or computed as they are read if they are fused."""
    fuser = fuser_of(x.device)
    if fuser is not None and (found := fuser.source(x, fits)) is not None:
        body, operands = found
        return Source(body, x.kind, operands, x.shape)
    return Source(as_they_are(x.kind), x.kind, (x,), x.shape)


def as_they_are(kind: Dtype) -> Body:
    """The expression of elements that nothing is computed of."""
    return Body(kind.name, (kind.wgsl,), kind.wgsl, "x")


def of_partial_results(row: Reduction, computed: Dtype) -> Body | None:
    """What a later pass reads: elements, or accumulators."""
    return as_they_are(computed) if row.monoid.plain else None


@dataclass(frozen=True, eq=False)
class Operands:
    """What the first pass reads: bindings of arrays, words of numbers, and which is which, in their order.

    `kinds` has "" for an array, "number" for a number.
    """

    arrays: Sequence[Buffer | BufferBinding]
    numbers: Sequence[int]
    kinds: Sequence[str]


def at_once(row: Reduction, source: Source, axes: Shape, number: int) -> Array:
    """The results, in the shape of the kept axes."""
    out, layout = _buffer_of(row, source, axes, number)
    return Array(out, layout)


def accumulators(row: Reduction, source: Source, axes: Shape, number: int, *, first: int) -> Array:
    """The accumulators of the results, each along a last axis of words; indices count from `first`."""
    out, layout = _buffer_of(row, source, axes, number, first=first, partial=True)
    words = row.monoid.nbytes(row.computed(source.dtype)) // U32.itemsize
    strides = tuple(each * words for each in layout.strides)
    return Array(out, layout_of(U32, (*layout.shape, words), (*strides, 1)))


def _buffer_of(
    row: Reduction, source: Source, axes: Shape, number: int, *, first: int = 0, partial: bool = False
) -> tuple[Buffer, Layout]:
    """The results or accumulators, and where they are, counted in such."""
    box, bound = _box(row, source, axes)
    if box is None:
        source, axes = _gathered(source, axes)
        box, bound = _box(row, source, axes)
        assert box is not None
    operands = Operands(
        [buffer for buffer, _ in bound],
        [each for each in source.operands if not isinstance(each, Array)],
        ["" if isinstance(each, Array) else "number" for each in source.operands],
    )
    kept = tuple(size for axis, size in enumerate(source.shape) if axis not in axes)
    device, body = source.arrays[0].device, source.body
    out = launched(row, device, source.dtype, body, operands, box, number, first=first, partial=partial)
    return out, box.layout(row.result(source.dtype), kept)


def _box(
    row: Reduction, source: Source, axes: Shape
) -> tuple[Box | None, list[tuple[Buffer | BufferBinding, int]]]:
    """The box of the operands, and what is bound of each, with its offset in that."""
    arrays = source.arrays
    bound = [windows.bound(each) for each in arrays]
    strides = [broadcast_strides(each.shape, each.strides, source.shape) for each in arrays]
    starts = [start for _, start in bound]
    return box_of(source.shape, axes, starts, strides, ordered=row.ordered), bound


def _gathered(source: Source, axes: Shape) -> tuple[Source, Shape]:
    """The values in new memory, with the reduced axes last: for more axes than kernels take."""
    (x,) = arrays = source.arrays if source.body.expression == "x" else [None]
    if x is None or len(arrays) > 1:
        x = allocate(source.arrays[0].device, source.shape, source.dtype, operation=source.body.name)
        compute(source.body, source.operands, x)
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    rows = x.transpose([*kept, *axes]).copy()
    # Not source_of, by which a fused copy would be read with the axes that were too many.
    gathered = Source(as_they_are(rows.kind), rows.kind, (rows,), rows.shape)
    return gathered, tuple(range(len(kept), len(source.shape)))


def launched(
    row: Reduction,
    device: Device,
    kind: Dtype,
    body: Body | None,
    operands: Operands,
    box: Box,
    number: int,
    *,
    first: int = 0,
    partial: bool = False,
) -> Buffer:
    """The buffer of the results, after all passes, or with `partial` of their accumulators.

    `kind` is the dtype of the elements; without a `body`, accumulators are reduced.
    """
    computed, target = row.computed(kind), row.result(kind)
    vec4 = any(columns_aligned(box, each) for each in box.places)
    for each in passes(
        box.rows,
        box.n,
        box.inner,
        cpu=device.adapter.is_cpu,
        vec4=vec4,
        max_threads=device.limits.threads,
        enough_groups=profile_of(device).busy_groups,
    ):
        box, last = box.by_rows() if each.kernel == "rows" else box, each.width == 1 and not partial
        stage = Stage(row.name, row.monoid, computed, body, target.wgsl if last else "")
        size = target.itemsize if last else row.monoid.nbytes(computed)
        out = device.empty(box.rows * each.width * box.inner * size, label=row.name)
        form = form_of(each, box, operands.kinds, stage, subgroups=has_subgroups(device))
        arrays, numbers = operands.arrays, operands.numbers
        launch_pass(device, stage, form, box, each, arrays, out, number=number, numbers=numbers, first=first)
        operands, body = Operands([out], [], [""]), of_partial_results(row, computed)
        box = rows_box(box.rows, each.width, box.inner)
    return out


def has_subgroups(device: Device) -> bool:
    """Whether rows are reduced by subgroups. CPU drivers emulate them."""
    return "subgroup" in device.adapter.features and not device.adapter.is_cpu
