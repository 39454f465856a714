"""Several indices as one: how far the element that they name is from the first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import I32, U32, Dtype
from rusty_py.ops import generator
from rusty_py.ops.compute import compute
from rusty_py.ops.generator import NAMES, Body, Skeleton
from rusty_py.runtime.launch import Spec
from rusty_py.views import Shape

# No element is so far from another in a binding; its sign is that of no distance.
NOWHERE = "const NOWHERE: u32 = 0x80000000u;\n"
WRAPPED = {
    "i32": "fn wrapped(i: i32, size: u32) -> u32 {\n    return u32(i) + select(0u, size, i < 0);\n}\n",
    "u32": "fn wrapped(i: u32, size: u32) -> u32 {\n    return i;\n}\n",
}


def distances(
    indices: Sequence[Array], shape: Shape, sizes: Shape, strides: Shape, *, operation: str
) -> Array:
    """How far the element that the indices name is from the start, in axes of `sizes` and `strides`.

    A u32 of `shape`, modulo 2^32, and NOWHERE where an index is out of bounds.
    """
    sums: Array | None = None
    for i in range(0, len(indices), 2):
        some = indices[i : i + 2]
        numbers = [
            n & 0xFFFFFFFF for pair in zip(sizes[i : i + 2], strides[i : i + 2], strict=True) for n in pair
        ]
        arrays = [*([sums] if sums is not None else []), *some]
        out = allocate(some[0].device, shape, U32, operation=operation)
        compute(_distance([each.kind for each in some], more=sums is not None), [*arrays, *numbers], out)
        sums = out
    assert sums is not None
    return sums


def _distance(kinds: Sequence[Dtype], *, more: bool) -> Body:
    """The distance by one or two indices; with `more`, added to one that is there."""
    helpers = NOWHERE
    for kind in dict.fromkeys(each.wgsl for each in kinds):
        helpers += WRAPPED[kind].replace("wrapped", f"wrapped_{kind}")
        helpers += (
            f"fn distance_{kind}(i: {kind}, size: u32, stride: u32) -> u32 {{\n"
            f"    let at = wrapped_{kind}(i, size);\n"
            "    return select(NOWHERE, at * stride, at < size);\n}\n"
        )
    helpers += (
        "fn both(a: u32, b: u32) -> u32 {\n"
        "    return select(a + b, NOWHERE, a == NOWHERE || b == NOWHERE);\n}\n"
    )
    names = iter(NAMES)
    sums = next(names) if more else ""
    indices = [next(names) for _ in kinds]
    terms = [
        f"distance_{kind.wgsl}({i}, {next(names)}, {next(names)})"
        for i, kind in zip(indices, kinds, strict=True)
    ]
    parts = [*filter(None, [sums]), *terms]
    expression = parts[0]
    for part in parts[1:]:
        expression = f"both({expression}, {part})"
    types = (*["u32"] * more, *(each.wgsl for each in kinds), *["u32"] * (2 * len(kinds)))
    name = f"distance {' '.join(each.name for each in kinds)}{' more' if more else ''}"
    return Body(name, types, "u32", expression, helpers)


def variants() -> list[Spec]:
    """The kernels for one or two indices of each dtype, in one way to find them."""
    found = []
    for kinds in ((I32,), (U32,), *product((I32, U32), repeat=2)):
        access = (*["vec4"] * len(kinds), *["number"] * 2 * len(kinds))
        if len(kinds) == 2:
            found.append(generator.spec(_distance(kinds, more=False), Skeleton("flat", 4, access)))
        else:
            skeleton = Skeleton("flat", 4, ("vec4", *access))
            found.append(generator.spec(_distance(kinds, more=True), skeleton))
    return found
