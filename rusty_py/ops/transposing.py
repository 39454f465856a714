"""Copies between arrays that are contiguous along different axes, by tiles in workgroup memory.

Without tiles one of both is accessed with a stride by neighbouring threads, which takes a GPU several times
as long. CPU drivers have caches for that, and slow barriers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod

from rusty_py.ops.generator import Body
from rusty_py.ops.grid import THREADS
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape

TILE = 64
MIN_SIZE = 32
"""Along both axes: with less, most threads of a workgroup would have nothing to do."""

_MAX_BATCH_AXES = 2
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Transposition:
    """A launch of the kernel."""

    spec: Spec
    uniforms: tuple[int, ...]
    workgroups: tuple[int, int, int]


def uses_tiles(device: Device) -> bool:
    """Whether tiles are faster than strides there."""
    return device.adapter.type != "CPU"


def transposition(
    device: Device, body: Body, sizes: Shape, strides: Sequence[Shape], starts: Sequence[int]
) -> Transposition | None:
    """The launch for an operand and a result with these strides and starts; None if no tiles are needed."""
    if not 2 <= len(sizes) <= 2 + _MAX_BATCH_AXES or len(strides) != 2 or not uses_tiles(device):
        return None
    x, out = strides
    if 1 not in x or 1 not in out:
        return None
    i, j = x.index(1), out.index(1)
    m, n = sizes[i], sizes[j]
    if i == j or x[j] == 0 or min(m, n) < MIN_SIZE:
        return None
    rest = [axis for axis in range(len(sizes)) if axis not in (i, j)]
    batches = [sizes[axis] for axis in rest]
    in4 = _aligned(m, starts[0], [x[j], *(x[axis] for axis in rest)])
    out4 = _aligned(n, starts[1], [out[i], *(out[axis] for axis in rest)])
    pads = [0] * (2 - len(rest))
    uniforms = (
        *(m, n, prod(batches), batches[-1] if batches else 1, *starts, x[j], out[i]),
        *(*pads, *(x[axis] for axis in rest)),
        *(*pads, *(out[axis] for axis in rest)),
    )
    limit = device.limits.groups
    groups = tuple(min(each, limit) for each in (ceil_div(n, TILE), ceil_div(m, TILE), prod(batches)))
    words = tuple(each & _WORD for each in uniforms)
    x_groups, y_groups, z_groups = groups
    return Transposition(spec(body, 4 if in4 else 1, 4 if out4 else 1), words, (x_groups, y_groups, z_groups))


def _aligned(size: int, start: int, strides: Sequence[int]) -> bool:
    """Whether rows of `size` elements can be accessed as vec4."""
    return size % 4 == 0 and start % 4 == 0 and all(each % 4 == 0 for each in strides)


@cache
def spec(body: Body, elements_in: int, elements_out: int) -> Spec:
    """The kernel that loads and stores so many elements at once."""
    (source,), result = body.types, body.result
    blocks = elements_in == elements_out == 4
    text = (
        f"alias source = {source};\nalias result = {result};\n"
        f"@group(0) @binding(0) var<storage, read> x_in: array<{_held('source', elements_in)}>;\n"
        f"@group(0) @binding(1) var<storage, read_write> out: array<{_held('result', elements_out)}>;\n"
        "@group(0) @binding(2) var<uniform> uniforms: Uniforms;\n"
        f"{body.helpers}fn apply({body.names[0]}: source) -> result {{\n    "
        + "\n    ".join([*body.statements, f"return {body.expression};"])
        + "\n}\n"
    )
    if not blocks:
        text += f"const IN: u32 = {elements_in}u;\nconst OUT: u32 = {elements_out}u;\n"
        text += (_LOAD4 if elements_in == 4 else _LOAD) + (_STORE4 if elements_out == 4 else _STORE)
    held, row = (result, TILE) if blocks else (source, TILE + 1)
    return Spec(
        "copy/transpose_blocks" if blocks else "copy/transpose",
        1,
        1,
        THREADS,
        TILE * row * (2 if held == "f16" else 4),
        definitions=text,
        variant=f"{body.name}, {elements_in} to {elements_out} wide",
    )


def _held(kind: str, elements: int) -> str:
    return f"vec4<{kind}>" if elements == 4 else kind


_LOAD = "fn load(at: u32, slot: u32) {\n    tile[slot] = x_in[at];\n}\n"
_LOAD4 = """fn load(at: u32, slot: u32) {
    let x = x_in[at / 4u];
    tile[slot] = x.x;
    tile[slot + 1u] = x.y;
    tile[slot + 2u] = x.z;
    tile[slot + 3u] = x.w;
}
"""
_STORE = "fn store(at: u32, slot: u32) {\n    out[at] = apply(tile[slot]);\n}\n"
_STORE4 = """fn store(at: u32, slot: u32) {
    out[at / 4u] = vec4<result>(
        apply(tile[slot]),
        apply(tile[slot + ROW]),
        apply(tile[slot + 2u * ROW]),
        apply(tile[slot + 3u * ROW]),
    );
}
"""


def variants() -> list[Spec]:
    """Copies, which all conversions are like."""
    copies = [Body(f"copy {word}", (word,), word, "x") for word in ("u32", "f16")]
    return [spec(body, *widths) for body in copies for widths in product((1, 4), repeat=2)]
