"""The launch that computes every element of an array from those of others, by a generated kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from rusty_py.arrays import Array
from rusty_py.errors import LimitError
from rusty_py.ops import generator, windows
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import MAX_AXES, Body, Skeleton
from rusty_py.ops.grid import groups_of_box, groups_of_items
from rusty_py.ops.transposing import transposition
from rusty_py.profile.store import profile_of
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, broadcast_strides, collapse

# An element whose place takes divisions; it counts for pacing.
GENERAL_FLOPS = 8
# Elements of f16 from which threads take eight: with fewer, there would be too few threads for a GPU.
_MIN_EIGHTS, _MIN_EIGHTS_ON_CPU = 1 << 17, 1 << 12
# Along the first axis of a grid: with fewer items most threads of a workgroup would have none.
_MIN_GRID_ITEMS = 128


def compute(body: Body, operands: Sequence[Array | int], out: Array, *, fresh: bool = True) -> None:
    """Computes every element of `out` from those of `operands`, arrays or numbers' words, by one launch.

    An `out` that is not `fresh` may be a part of a buffer: what lies behind it stays as it is. Arrays that
    are larger than a binding take a launch for each part.
    """
    if not out.size:
        return
    if (fuser := fuser_of(out.device)) is not None and fuser.defer(body, operands, out, fresh=fresh):
        return
    arrays = [each for each in operands if isinstance(each, Array)]
    if not all(map(windows.fits, (*arrays, out))):
        for *part, part_of_out in windows.halves(operands, out):
            assert isinstance(part_of_out, Array)
            compute(body, part, part_of_out, fresh=False)
        return
    sizes, strides = _boxed(out.shape, [*arrays, out])
    if len(sizes) > MAX_AXES:
        raise LimitError(
            f"{body.name}: more axes than kernels take: {len(sizes)} that lie apart, {MAX_AXES} at most;"
            " copy or reshape first"
        )
    bindings, starts = zip(*map(windows.bound, (*arrays, out)), strict=True)
    if len(operands) == 1 and (tiled := transposition(out.device, body, sizes, strides, starts)) is not None:
        launch(
            out.device,
            tiled.spec,
            inputs=bindings[:-1],
            outputs=bindings[-1:],
            uniforms=tiled.uniforms,
            workgroups=tiled.workgroups,
            flops=out.size,
        )
        return
    skeleton = _skeleton(operands, sizes, strides, out, fresh=fresh)
    if _takes_eights(body, skeleton, out) and not any(starts) and (fresh or out.size % 8 == 0):
        skeleton = replace(skeleton, width=8)
    spec, device = generator.spec(body, skeleton), out.device
    numbers = [each for each in operands if not isinstance(each, Array)]
    launch(
        device,
        spec,
        inputs=bindings[:-1],
        outputs=bindings[-1:],
        uniforms=generator.uniforms(skeleton, sizes, starts, strides, numbers, operation=body.name),
        workgroups=groups_of(device, skeleton, sizes, operation=body.name),
        flops=out.size * (GENERAL_FLOPS if skeleton.index == "general" else 1),
    )


def _boxed(shape: Shape, arrays: Sequence[Array]) -> tuple[Shape, Sequence[Shape]]:
    """The axes that the arrays need in common, and the strides of each along them."""
    for each in arrays:
        if not each.contiguous or each.shape != shape:
            strides = [broadcast_strides(each.shape, each.strides, shape) for each in arrays]
            return collapse(shape, *strides)
    return (prod(shape),), [(1,)] * len(arrays)


def _skeleton(
    operands: Sequence[Array | int], sizes: Shape, strides: Sequence[Shape], out: Array, *, fresh: bool
) -> Skeleton:
    """How these elements are found best."""
    inner = sizes[-1] if sizes else 1
    flat = len(sizes) <= 1
    whole = inner % 4 == 0 or (flat and fresh)  # Behind a fresh array there is room for a whole vec4.
    width = 4 if whole and vec4_aligned(out, strides[-1]) else 1
    index = index_class(out.device, sizes, width)
    access, remaining = [], iter(strides)
    for each in operands:
        if not isinstance(each, Array):
            access.append("number")
            continue
        stride = next(remaining)
        if width == 1:
            access.append("scalar")
        elif not stride or stride[-1] == 0:
            access.append("one")
        else:
            access.append("vec4" if vec4_aligned(each, stride) else "scalar")
    return Skeleton(index, width, tuple(access), wide_axes=len(sizes) > 4)


def index_class(device: Device, sizes: Shape, width: int) -> str:
    """How a kernel goes through elements in a box of `sizes`, `width` at a time: see `Skeleton`.

    CPU drivers divide faster than they begin workgroups and loops of three axes.
    """
    if len(sizes) <= 1:
        return "flat"
    grid = len(sizes) <= 3 and sizes[-1] // width >= _MIN_GRID_ITEMS and not device.adapter.is_cpu
    return "grid" if grid else "general"


def _takes_eights(body: Body, skeleton: Skeleton, out: Array) -> bool:
    """Whether threads take eight elements of f16, as many bytes as the device's threads load best."""
    return (
        out.size >= (_MIN_EIGHTS_ON_CPU if out.device.adapter.is_cpu else _MIN_EIGHTS)
        and skeleton.index == "flat"
        and skeleton.width == 4
        and "scalar" not in skeleton.access
        and {*body.types, body.result} == {"f16"}
        and profile_of(out.device).item_bytes == 16
    )


def vec4_aligned(x: Array, stride: Shape) -> bool:
    """Whether the last axis can be accessed as vec4."""
    if not stride or stride[-1] != 1 or x.offset % 4:
        return False
    return all(each % 4 == 0 for each in stride[:-1])


def groups_of(device: Device, skeleton: Skeleton, sizes: Shape, *, operation: str) -> tuple[int, int, int]:
    """The workgroups of a kernel over `sizes`. Raises LimitError for more than the device computes."""
    if skeleton.index != "grid":
        return groups_of_items(device, ceil_div(prod(sizes), skeleton.width), operation=operation)
    z, y, x = (1, *sizes)[-3:]
    return groups_of_box(device, x // skeleton.width, y, z, operation=operation)
