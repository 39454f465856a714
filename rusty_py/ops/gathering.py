"""Elements chosen, and set, by arrays of indices or a mask: one launch of a kernel of the generator.

An index is of the first array operand of a kernel, x. Negative ones count from the end. In one that is out of
bounds there is nothing: zero is read, and what is set there goes nowhere, so that the gradient of either is
the other. Several indices become one first: how far each element is from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, I32, U32, Dtype
from rusty_py.errors import IndexingError, LimitError, ShapeError
from rusty_py.ops import generator
from rusty_py.ops.compute import GENERAL_FLOPS, groups_of, index_class, vec4_aligned
from rusty_py.ops.distances import NOWHERE, WRAPPED, distances
from rusty_py.ops.generator import MAX_AXES, NAMES, Body, Skeleton
from rusty_py.runtime.launch import Spec, launch
from rusty_py.views import Shape, broadcast, broadcast_strides, collapse, row_major

# An index along one axis: its size and stride are the numbers.
_INDEX = """fn stored(i: {kind}) -> bool {{
    return wrapped(i, uniforms.numbers.x) < uniforms.numbers.x;
}}
fn place(i: {kind}) -> u32 {{
    return select(0u, wrapped(i, uniforms.numbers.x), stored(i)) * uniforms.numbers.y;
}}
"""
_DISTANCE = """fn stored(i: u32) -> bool {
    return i != NOWHERE;
}
fn place(i: u32) -> u32 {
    return select(0u, i, stored(i));
}
"""
_MASK = "fn stored(m: u32) -> bool {\n    return m != 0u;\n}\n"


@dataclass(frozen=True)
class _Index:
    """Where elements are: `array` says it by `kernel` text, with `numbers`; all in multiples of `step`."""

    array: Array
    strides: Shape
    text: str
    numbers: tuple[int, ...] = ()
    step: int = 1


@dataclass(frozen=True)
class _Operand:
    """An array or a number's word, and the strides with which a kernel goes through it."""

    value: Array | int
    strides: Shape = ()


def chosen_shape(shape: Shape, axes: Shape, at: int, indices: Shape) -> Shape:
    """The shape of what indices of shape `indices` choose along `axes`, which go; theirs come in at `at`."""
    rest = [size for axis, size in enumerate(shape) if axis not in axes]
    return (*rest[:at], *indices, *rest[at:])


def gather(x: Array, indices: Sequence[Array], *, axes: Shape, at: int, operation: str) -> Array:
    """The elements of `x` that the indices choose along `axes`, in the shape of `chosen_shape`."""
    index, chosen, strides = _chosen(x, indices, axes, at, operation=operation)
    out = allocate(x.device, chosen, x.kind, operation=operation)
    _run(index, _Operand(x, strides), out, row_major(chosen), operation=operation)
    return out


def gather_along(x: Array, index: Array, *, axis: int, operation: str) -> Array:
    """out[..., j, ...] = x[..., index[..., j, ...], ...] along `axis`; the other axes broadcast."""
    if index.ndim != x.ndim:
        raise ShapeError(f"{operation}: as many axes as the array: indices {index.shape}, array {x.shape}")
    one = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    shape = broadcast(one, index.shape, operation=operation)
    out = allocate(x.device, shape, x.kind, operation=operation)
    _refuse_nothing(x.shape, (axis,), shape, operation=operation)
    strides = broadcast_strides(index.shape, index.strides, shape)
    found = _of_axis(index, strides, x, axis)
    rest = broadcast_strides(one, (*x.strides[:axis], 0, *x.strides[axis + 1 :]), shape)
    _run(found, _Operand(x, rest), out, row_major(shape), operation=operation)
    return out


def put(
    value: Array | int, indices: Sequence[Array], out: Array, *, axes: Shape, at: int, operation: str
) -> None:
    """Sets what `gather` would choose of `out` to `value`, an array that broadcasts or a number's word.

    `value` has out's dtype. Of two values for one element either may stay.
    """
    index, chosen, strides = _chosen(out, indices, axes, at, operation=operation)
    given = _broadcast(value, chosen, operation=operation)
    _run(index, given, out, strides, store="indexed", shape=chosen, operation=operation)


def put_masked(value: Array | int, mask: Array, out: Array, *, operation: str) -> None:
    """Sets `out` where `mask`, over its first axes, is true, to `value`, as `put` does."""
    one = (1,) * (out.ndim - mask.ndim)
    over = broadcast_strides((*mask.shape, *one), (*mask.strides, *one), out.shape)
    given = _broadcast(value, out.shape, operation=operation)
    _run(_Index(mask, over, _MASK), given, out, out.strides, store="masked", operation=operation)


def _chosen(
    x: Array, indices: Sequence[Array], axes: Shape, at: int, *, operation: str
) -> tuple[_Index, Shape, Shape]:
    """The one index that several are, the shape of what they choose of `x`, and x's strides along it."""
    shape = broadcast(*(each.shape for each in indices), operation=operation)
    chosen = chosen_shape(x.shape, axes, at, shape)
    _refuse_nothing(x.shape, axes, chosen, operation=operation)
    rest = [stride for axis, stride in enumerate(x.strides) if axis not in axes]
    before, after = (0,) * at, (0,) * (len(rest) - at)
    strides = (*rest[:at], *(0,) * len(shape), *rest[at:])
    if len(indices) == 1:
        (index,) = indices
        found = _of_axis(index, (*before, *index.strides, *after), x, axes[0])
    else:
        sizes, steps = (tuple(each[axis] for axis in axes) for each in (x.shape, x.strides))
        index = distances(indices, shape, sizes, steps, operation=operation)
        found = _Index(index, (*before, *index.strides, *after), NOWHERE + _DISTANCE, (), gcd(*steps))
    return found, chosen, strides


def _of_axis(index: Array, strides: Shape, x: Array, axis: int) -> _Index:
    kind, stride = index.kind.wgsl, x.strides[axis]
    return _Index(index, strides, WRAPPED[kind] + _INDEX.format(kind=kind), (x.shape[axis], stride), stride)


def _refuse_nothing(shape: Shape, axes: Shape, chosen: Shape, *, operation: str) -> None:
    """Kernels read element 0 for an index that is out of bounds: there must be one."""
    if prod(chosen) and not all(shape[axis] for axis in axes):
        raise IndexingError(f"{operation}: no elements to choose from along axes {axes} of shape {shape}")


def _broadcast(value: Array | int, shape: Shape, *, operation: str) -> _Operand:
    if not isinstance(value, Array):
        return _Operand(value)
    if broadcast(value.shape, shape, operation=operation) != shape:
        raise ShapeError(f"{operation}: shapes differ: {shape} takes {value.shape}")
    return _Operand(value, broadcast_strides(value.shape, value.strides, shape))


def _word(kind: Dtype) -> str:
    return "f16" if kind is F16 else "u32"


def _run(
    index: _Index,
    given: _Operand,
    out: Array,
    out_strides: Shape,
    *,
    operation: str,
    store: str = "",
    shape: Shape | None = None,
) -> None:
    """One launch over `shape`, by default that of `out`; `store` is the skeleton's, and "" gathers."""
    shape = out.shape if shape is None else shape
    if not prod(shape):
        return
    arrays, steps, number = [index.array], [index.strides], []
    if isinstance(given.value, Array):
        arrays.append(given.value)
        steps.append(given.strides)
    else:
        number.append(given.value)
    sizes, strides = collapse(shape, *steps, out_strides)
    if len(sizes) > MAX_AXES:
        raise LimitError(
            f"{operation}: more axes than kernels take: {len(sizes)} that lie apart, {MAX_AXES} at most;"
            " copy or reshape first"
        )
    skeleton = _skeleton(index, given, sizes, strides, out, store)
    numbers = [*(each & 0xFFFFFFFF for each in index.numbers), *number]
    starts = [each.offset for each in (*arrays, out)]
    launch(
        out.device,
        generator.spec(_body(index.text, len(index.numbers), index.array.kind, out.kind, store), skeleton),
        inputs=[each.buffer for each in arrays],
        outputs=[out.buffer],
        uniforms=generator.uniforms(skeleton, sizes, starts, strides, numbers, operation=operation),
        workgroups=groups_of(out.device, skeleton, sizes, operation=operation),
        flops=prod(shape) * GENERAL_FLOPS,
    )


def _skeleton(
    index: _Index, given: _Operand, sizes: Shape, strides: Sequence[Shape], out: Array, store: str
) -> Skeleton:
    inner, flat = sizes[-1] if sizes else 1, len(sizes) <= 1
    alone = not strides[0] or strides[0][-1] == 0  # One index for neighbours.
    together = alone and index.step % 4 == 0
    # Behind a new array there is room for a whole vec4; but what is there is no distance.
    whole = inner % 4 == 0 or (flat and not store and bool(index.numbers))
    wide = whole and vec4_aligned(out, strides[-1]) and (store != "indexed" or together)
    width = 4 if wide else 1
    access = ["scalar" if not wide else "one" if alone else _lanes(index.array, strides[0])]
    access += ["number"] * len(index.numbers)
    if not isinstance(given.value, Array):
        access.append("number")
    elif not store:
        vec4 = wide and together and vec4_aligned(given.value, strides[1])
        access.append("indexed vec4" if vec4 else "indexed")
    elif not wide:
        access.append("scalar")
    else:
        access.append("one" if strides[1][-1] == 0 else _lanes(given.value, strides[1]))
    if store == "indexed" and wide:
        store = "indexed vec4"
    chosen = index_class(out.device, sizes, width)
    return Skeleton(chosen, width, tuple(access), wide_axes=len(sizes) > 4, store=store)


def _lanes(x: Array, stride: Shape) -> str:
    return "vec4" if vec4_aligned(x, stride) else "scalar"


def _body(text: str, numbers: int, index: Dtype, kind: Dtype, store: str) -> Body:
    """What is read where the index says, or the operand as it is where `store` says so."""
    word, value = _word(kind), NAMES[1 + numbers]
    expression = value if store else f"select({word}(0), {value}, stored(x))"
    name = f"{'masked' if store == 'masked' else 'put' if store else 'gather'} {word}"
    types = (index.wgsl, *["u32"] * numbers, word)
    by = "" if store == "masked" else f" by {index.name}" if numbers else " by distance"
    return Body(name + by, types, word, expression, text)


def variants() -> list[Spec]:
    """Kernels that cover each text, and each way to find elements with one of them."""
    found = []
    for kind, index in product((F32, F16), (I32, U32, None)):
        numbers = ["number"] * (2 if index else 0)
        text = WRAPPED[index.wgsl] + _INDEX.format(kind=index.wgsl) if index else NOWHERE + _DISTANCE
        gathers, puts = (_body(text, len(numbers), index or U32, kind, store) for store in ("", "indexed"))
        ways = [("flat", 4, "vec4", "indexed")]
        if kind is F32 and index is I32:
            ways += [(each, 4, "one", "indexed vec4") for each in ("grid", "general")]
            ways += [(each, 1, "scalar", "indexed") for each in ("grid", "general")]
            ways += [("general", 4, "vec4", "indexed")]
        found += [(gathers, Skeleton(each, n, (x, *numbers, y))) for each, n, x, y in ways]
        skeleton = Skeleton("flat", 1, ("scalar", *numbers, "scalar"), store="indexed")
        found.append((puts, skeleton))
        if kind is F32 and index is I32:
            access = ("one", *numbers, "vec4")
            found.append((puts, Skeleton("general", 4, access, store="indexed vec4")))
    for kind in (F32, F16):
        masked = _body(_MASK, 0, U32, kind, "masked")
        found.append((masked, Skeleton("flat", 4, ("vec4", "number"), store="masked")))
        found.append((masked, Skeleton("general", 1, ("scalar", "scalar"), store="masked")))
    return [generator.spec(*each) for each in found]
