"""The passes of a reduction: how each finds its elements, and its launch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from rusty_py.ops.grid import groups_of_items, refuse_long
from rusty_py.ops.reduce.box import Box, Place
from rusty_py.ops.reduce.kernels import Form, Stage, spec, uniforms
from rusty_py.ops.reduce.passes import Pass
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch
from rusty_py.shapes import ceil_div


def launch_pass(
    device: Device,
    stage: Stage,
    form: Form,
    box: Box,
    each: Pass,
    buffers: Sequence[Buffer | BufferBinding],
    out: Buffer,
    *,
    number: int = 0,
    numbers: Sequence[int] = (),
    first: int = 0,
) -> None:
    """Launches one pass. Raises LimitError if a thread would take too many steps for the device."""
    count = box.rows * each.width * box.inner if form.kernel == "threads" else box.rows
    launch(
        device,
        spec(stage, form),
        inputs=buffers,
        outputs=[out],
        uniforms=uniforms(
            box,
            count=count,
            width=each.width,
            chunk=each.chunk,
            number=number,
            numbers=numbers,
            first=first,
        ),
        workgroups=_groups(device, form, box, each, operation=stage.name),
        flops=box.rows * box.n * box.inner,
    )


def form_of(each: Pass, box: Box, operands: Sequence[str], stage: Stage, *, subgroups: bool) -> Form:
    """How the kernel of a pass finds elements; `operands` are "" for arrays, "number" for numbers."""
    outer_axes, reduced_axes = 1 if len(box.outer) < 2 else 3, max(1, len(box.reduced))
    vectors = stage.body is not None or stage.monoid.accumulator is None
    places = iter(box.places)
    access = [
        how or (_access(each, box, next(places), alone=len(operands) == 1) if vectors else "scalar")
        for how in operands
    ]
    vec4 = "vec4" in access
    if not vec4:
        access = [how if how == "number" else "scalar" for how in access]
    return Form(
        each.kernel,
        tuple(access),
        vec4,
        outer_axes,
        reduced_axes,
        each.threads,
        each.across,
        subgroups=subgroups and each.kernel == "rows",
    )


def _access(each: Pass, box: Box, place: Place, *, alone: bool) -> str:
    """How four neighbours of an operand are loaded."""
    if each.kernel == "threads" or (each.kernel == "columns" and not each.vec4):
        return "scalar"
    if each.kernel == "columns":
        if place.inner == 0:
            return "one"
        return "vec4" if columns_aligned(box, place) else "scalar"
    if not any(place.reduced):
        return "one"
    if place.reduced[-1] != 1 or (len(box.reduced) > 1 and box.reduced[-1] % 4):
        return "scalar"
    if alone and len(box.reduced) == 1:
        return "vec4"  # Wherever its rows begin.
    return "vec4" if _aligned(place.start, (*place.outer, *place.reduced[:-1])) else "scalar"


def columns_aligned(box: Box, place: Place) -> bool:
    """Whether four neighbouring columns of an operand can be loaded as a vec4."""
    return place.inner == 1 and box.inner % 4 == 0 and _aligned(place.start, (*place.outer, *place.reduced))


def _aligned(start: Any, strides: Sequence[int]) -> bool:
    return start % 4 == 0 and all(each % 4 == 0 for each in strides)


def _groups(device: Device, form: Form, box: Box, each: Pass, *, operation: str) -> tuple[int, int, int]:
    """The workgroups of a pass."""
    limit = device.limits.groups
    if form.kernel == "threads":
        count = box.rows * each.width * box.inner
        refuse_long(device, box.rows * box.n * box.inner, ceil_div(box.n, each.width) + 1, operation)
        return groups_of_items(device, count, operation=operation)
    if form.kernel == "rows":
        wanted = ceil_div(box.rows, form.per_group), each.width, 1
        steps = ceil_div(each.chunk, 4 * form.across)
    else:
        wanted = ceil_div(box.inner, form.per_group), each.width, box.rows
        steps = ceil_div(each.chunk * form.across, form.threads)
    turns = prod(ceil_div(size, limit) for size in wanted)
    refuse_long(device, box.rows * box.n * box.inner, turns * (steps + 2 * form.threads), operation)
    x, y, z = (min(size, limit) for size in wanted)
    return x, y, z
