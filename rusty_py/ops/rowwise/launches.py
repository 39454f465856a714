"""Launching row operations: arrays as rows, a tile, and one launch, or two for rows in several parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F32, Dtype, f32_word
from rusty_py.errors import LimitError
from rusty_py.layout import Layout, layout_of
from rusty_py.ops import windows
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import vec4s
from rusty_py.ops.rowwise import tiles
from rusty_py.ops.rowwise.boxes import Box, boxed, is_coalesced, memory_order, result_layout
from rusty_py.ops.rowwise.kernel import READS_STATES, WHOLE, WRITES_STATES, Access, Groups, RowFunction, Tile
from rusty_py.ops.rowwise.texts import kernel_spec
from rusty_py.ops.rowwise.tiles import Machine, Rows
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.runtime.uniforms import SLOT_WORDS
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, View

_FLOPS = 8
"""Operations of an element, as pacing counts them."""

_WORD = 0xFFFFFFFF

_MAX_FUSED = 4
"""Arrays that a row is computed of. With two vectors, states and the result they fill eight bindings."""


@dataclass(frozen=True)
class RowsPlan:
    """How rows are computed: on which tile, in how many parts of `chunk` elements, by which accesses."""

    box: Box
    tile: Tile
    parts: int
    chunk: int
    operands: tuple[Access, ...]
    vectors: tuple[Access, ...]

    def specs(self, function: RowFunction, result: Dtype) -> Iterator[tuple[str, Spec]]:
        """What is launched: which half of the work, and the kernel."""
        for half in (WHOLE,) if self.parts == 1 else (WRITES_STATES, READS_STATES):
            yield half, kernel_spec(function, self.tile, self.operands, self.vectors, result, half)


def planned(
    box: Box,
    operands: Sequence[Layout],
    vectors: Sequence[Layout],
    groups: Groups | None,
    machine: Machine,
) -> RowsPlan:
    """The plan for arrays of these layouts, of which `box` has the strides."""
    rows = _rows(box)
    tile = tiles.tile_for(rows, machine)
    parts, chunk = tiles.parts_for(rows, tile, cpu=machine.cpu)
    found = tuple(_vector_access(each, tile, groups) for each in vectors)
    return RowsPlan(box, tile, parts, chunk, _accesses(box, operands, tile), found)


def planned_sums(box: Box, operands: Sequence[Layout], machine: Machine) -> RowsPlan | None:
    """The plan for sums over rows; None if no kernel computes them."""
    tile = tiles.tile_for_sums(_rows(box), machine)
    return None if tile is None else RowsPlan(box, tile, 1, box.n, _accesses(box, operands, tile), ())


def _rows(box: Box) -> Rows:
    width = 4 if not box.across and box.n % 4 == 0 and _vec4(box.strides[-1]) else 1
    return Rows(box.rows, box.n, width, box.across)


def _accesses(box: Box, operands: Sequence[Layout], tile: Tile) -> tuple[Access, ...]:
    return tuple(
        Access(each.dtype, "vec4" if tile.width == 4 and not each.start % 4 and _vec4(stride) else "scalar")
        for each, stride in zip(operands, box.strides, strict=False)
    )


def _vec4(strides: Shape) -> bool:
    """Whether the items of each row are vec4s where those of the first are."""
    return strides[-1] == 1 and all(each % 4 == 0 for each in strides[:-1])


def _vector_access(x: Layout, tile: Tile, groups: Groups | None) -> Access:
    if groups is not None:
        shared = tile.width == 4 and groups.neighbours % 4 == 0
        return Access(x.dtype, "one" if shared else "scalar", grouped=True)
    aligned = tile.width == 4 and x.strides[0] == 1 and not x.start % 4
    return Access(x.dtype, "vec4" if aligned else "scalar")


def launch_rows(
    function: RowFunction,
    operands: Sequence[Array],
    axes: Shape,
    *,
    vectors: Sequence[Array] = (),
    epsilon: float = 0.0,
    groups: Groups | None = None,
) -> Array:
    """`function` of the rows along `axes`, which are consecutive, of operands of one shape.

    The result has the dtype of the first operand, and its elements the same order in memory, so that
    neighbours there stay neighbours. Raises LimitError, OutOfMemory.
    """
    first = operands[0]
    numbers: list[int] = []
    if (fused := _fused(function, first, axes)) is not None:
        function, operands, numbers = fused
        order, layout = tuple(range(first.ndim)), layout_of(first.kind, first.shape)
    else:
        operands, order, layout = _arranged(operands, axes, keep_order=groups is None)
    out = Array(allocate(first.device, first.shape, first.kind, operation=function.name).buffer, layout)
    if out.size:
        cut = [axis for axis in order if axis not in axes and (groups is None or axis == 0)]
        for *part, part_of_out in _parts([*operands, out], cut, operation=function.name):
            box = boxed([each.layout for each in (*part, part_of_out)], axes, order)
            assert box is not None
            _launch(function, box, part, vectors, part_of_out, epsilon, groups, numbers)
    return out


def _parts(arrays: list[Array], axes: Sequence[int], *, operation: str) -> Iterator[list[Array]]:
    """The arrays, of one shape, in parts along `axes` that launches can bind.

    Raises LimitError where a row is larger than a binding.
    """
    large = [each for each in arrays if not windows.fits(each)]
    if not large:
        yield arrays
        return
    shape = arrays[0].shape
    reaches = {axis: max((shape[axis] - 1) * abs(each.strides[axis]) for each in large) for axis in axes}
    axis = max(reaches, key=reaches.__getitem__, default=-1)
    if axis < 0 or not reaches[axis]:
        adapter = arrays[0].device.adapter
        raise LimitError(f"{operation}: a row is larger than a binding on {adapter}: shape {shape}")
    half = ceil_div(shape[axis], 2)
    for start, stop in ((0, half), (half, shape[axis])):
        size = (*shape[:axis], stop - start, *shape[axis + 1 :])
        views = [View(each.offset + start * each.strides[axis], size, each.strides) for each in arrays]
        part = [each.view(view) for each, view in zip(arrays, views, strict=True)]
        yield from _parts(part, axes, operation=operation)


def _fused(function: RowFunction, x: Array, axes: Shape) -> tuple[RowFunction, list[Array], list[int]] | None:
    """What to launch in place of `function` where its operand is fused, and is computed as it is read."""
    fuser = fuser_of(x.device) if len(function.operands) == 1 else None
    found = fuser.source(x, _fits) if fuser is not None else None
    if found is None:
        return None
    body, given = found
    arrays = [each for each in given if isinstance(each, Array)]
    layouts = [layout_of(x.kind, each.shape, each.strides) for each in arrays]
    box = boxed([*layouts, layout_of(x.kind, x.shape)], axes, tuple(range(x.ndim)))
    if box is None or not all(is_coalesced(box, strides) for strides in box.strides):
        return None
    return function.of(body, len(arrays)), arrays, [each for each in given if not isinstance(each, Array)]


def _fits(arrays: int, numbers: int) -> bool:
    """Whether the uniforms of a launch have room for so many operands beside two vectors and the result."""
    return arrays <= _MAX_FUSED and 8 + 4 * vec4s(numbers) + 4 * (arrays + 3) <= SLOT_WORDS


def launch_sums(function: RowFunction, x: Array, g: Array, axes: Shape, epsilon: float) -> Array | None:
    """The sums over rows of g * z, and of g if there is a bias, where z is the normalized x.

    The result, (groups of rows, 2 or 1, elements of a row) in f32, is to be summed over its first axis.
    None if no kernel computes it.
    """
    operands, order, layout = _arranged((x, g), axes, keep_order=True)
    box = boxed([*(each.layout for each in operands), layout], axes, order)
    if box is None or not x.size or not all(map(windows.fits, operands)):
        return None
    plan = planned_sums(box, [each.layout for each in operands], machine_of(x.device))
    if plan is None:
        return None
    groups = tiles.groups_for_sums(box.rows, plan.tile)
    shape = (groups * plan.tile.rows, len(function.vectors), box.n)
    out = allocate(x.device, shape, F32, operation=function.name)
    bound = [windows.bound(each) for each in operands]
    places = [_place(at, strides) for (_, at), strides in zip(bound, box.strides, strict=False)]
    head = (box.rows, box.n, 1, box.n, box.inner, 1, 1, f32_word(epsilon))
    ((_, spec),) = plan.specs(function, F32)
    launch(
        x.device,
        spec,
        inputs=[buffer for buffer, _ in bound],
        outputs=[out.buffer],
        uniforms=sum([*places, (0,) * 4], head),
        workgroups=(groups, 1, 1),
        flops=_FLOPS * box.rows * box.n,
    )
    return out


def _arranged(
    operands: Sequence[Array], axes: Shape, *, keep_order: bool
) -> tuple[Sequence[Array], Shape, Layout]:
    """The operands, the order of their axes in memory, and the layout of a result in this order.

    Operands are copied if their rows take more strides than kernels have, or if they do not have neighbours
    in memory where the result has them.
    """
    first, own = operands[0].layout, tuple(range(operands[0].ndim))
    order = memory_order(first) if keep_order else own
    out = result_layout(first, order)
    box = boxed([*(x.layout for x in operands), out], axes, order)
    if box and all(is_coalesced(box, strides) for strides in box.strides):
        return operands, order, out
    return [x if x.contiguous else x.copy() for x in operands], own, result_layout(first, own)


def _launch(
    function: RowFunction,
    box: Box,
    operands: Sequence[Array],
    vectors: Sequence[Array],
    out: Array,
    epsilon: float,
    groups: Groups | None,
    numbers: Sequence[int],
) -> None:
    device, group = out.device, groups or Groups(1, 1)
    plan = planned(box, [x.layout for x in operands], [x.layout for x in vectors], groups, machine_of(device))
    jobs, count = box.rows * plan.parts, len(function.fields)
    sizes = (box.rows, box.n, plan.parts, plan.chunk, box.inner)
    words = (*numbers, *(0,) * (-len(numbers) % 4))
    head = (*sizes, group.rows, group.neighbours, f32_word(epsilon), *words)
    bound = [windows.bound(x) for x in (*operands, *vectors)]
    steps = [(box.n // group.neighbours * x.strides[0], 0, x.strides[0]) for x in vectors]
    strides = (*box.strides[:-1], *steps)
    places = [_place(at, each) for (_, at), each in zip(bound, strides, strict=True)]
    target, start = windows.bound(out)
    states: list[Buffer | BufferBinding] = []
    for half, spec in plan.specs(function, out.kind):
        read = len(operands) + len(function.vectors_of(half)[: len(vectors)])
        written: Buffer | BufferBinding = target
        if half == WRITES_STATES:
            written = allocate(device, (jobs * count,), F32, operation=function.name).buffer
        launch(
            device,
            spec,
            inputs=[*(buffer for buffer, _ in bound[:read]), *states],
            outputs=[written],
            uniforms=sum([*places[:read], _place(start, box.strides[-1])], head),
            workgroups=(_workgroups(device, function, plan, jobs), 1, 1),
            flops=_FLOPS * box.rows * box.n,
        )
        if half == WRITES_STATES:
            states = [written]


def _place(offset: int, strides: Shape) -> tuple[int, ...]:
    return offset, *(each & _WORD for each in strides)


def machine_of(device: Device) -> Machine:
    """What tiles depend on."""
    adapter = device.adapter
    return Machine(device.limits.threads, "subgroup" in adapter.features, adapter.is_cpu)


def _workgroups(device: Device, function: RowFunction, plan: RowsPlan, jobs: int) -> int:
    """Raises LimitError if a thread would take too many steps for the device."""
    tile = plan.tile
    groups = min(ceil_div(jobs, tile.rows), device.limits.groups)
    steps = 2 * ceil_div(plan.chunk, tile.elements) + ceil_div(plan.parts, tile.lanes)
    steps *= ceil_div(jobs, groups * tile.rows)
    if steps > device.limits.loop_steps:
        raise LimitError(
            f"{function.name}: {jobs} rows, or parts of rows, are more than {device.adapter} computes"
            f" at once: {steps} steps of a thread, {device.limits.loop_steps} at most; compute in parts"
        )
    return groups
