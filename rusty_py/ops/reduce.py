"""Reductions over axes: a monoid each, in passes by threads, or by workgroups for rows and columns.

`reduce_box.py` finds the axes that kernels see, `reduce_passes.py` chooses kernels, `reduce_kernels.py`
writes their WGSL, and `reduce_launch.py` launches them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, Protocol

from numpy.typing import ArrayLike

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import ELEMENTS, F16, F32, Dtype, DtypeLike
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Cost, Gradient, Operation, Rule, apply
from rusty_py.ops import windows
from rusty_py.ops.creation import full
from rusty_py.ops.elementwise import compute
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import Body
from rusty_py.ops.reduce_box import Box, box_of, rows_box
from rusty_py.ops.reduce_kernels import Form, Stage, fits, spec
from rusty_py.ops.reduce_launch import columns_aligned, form_of, launch_pass
from rusty_py.ops.reduce_passes import passes
from rusty_py.ops.reduction import REDUCTIONS, Axis, Reduction
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.views import Shape, axes_of, axis_key, broadcast_strides


class Reduce(Protocol):
    """The function of a reduction."""

    def __call__(self, x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False) -> Array: ...


class Accumulate(Protocol):
    """The function of one that may be asked for in another dtype."""

    def __call__(
        self,
        x: Array | ArrayLike,
        /,
        axis: Axis = None,
        *,
        dtype: DtypeLike | None = None,
        keepdims: bool = False,
    ) -> Array: ...


def define_reduction(row: Reduction) -> Reduce:
    """Registers a reduction without further options; returns its public function."""

    def function(x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
        return apply(operation, x, axis=axis_key(axis), keepdims=keepdims)

    function.__name__ = function.__qualname__ = row.name
    function.__doc__, function.__module__ = _doc(row), "rusty_py"
    operation = register(row, function)
    return function


def define_accumulation(row: Reduction) -> Accumulate:
    """Registers a reduction that may be asked for in another dtype; returns its public function."""

    def function(
        x: Array | ArrayLike,
        /,
        axis: Axis = None,
        *,
        dtype: DtypeLike | None = None,
        keepdims: bool = False,
    ) -> Array:
        return apply(operation, x, axis=axis_key(axis), dtype=dtype, keepdims=keepdims)

    function.__name__ = function.__qualname__ = row.name
    function.__doc__, function.__module__ = _doc(row), "rusty_py"
    operation = register(row, function)
    return function


def register(row: Reduction, function: Callable[..., Array]) -> Operation:
    """Registers a reduction whose public function is `function`."""
    REDUCTIONS[row.name] = row
    return OPERATIONS.add(
        Operation(
            row.name,
            partial(_forward, row),
            numpy=row.numpy if row.in_numpy else None,
            reference=None if row.in_numpy else row.numpy,
            function=function,
            kinds=row.kinds,
            samples=row.samples,
            operands=row.made,
            expected=row.expected,
            cost=cost,
            gradient=along_axes(row.gradient) if callable(row.gradient) else row.gradient,
            smooth=row.differentiable,
        )
    )


def along_axes(rule: Rule) -> Gradient:
    """The gradient by a `rule` that takes the gradient and the result with the reduced axes, of size 1."""
    by_axes = Gradient(rule)

    def joint(
        g: Array,
        out: Any,
        x: Any,
        *,
        wanted: Sequence[bool],
        axis: Axis = None,
        keepdims: bool = False,
        dtype: DtypeLike | None = None,
        **options: object,
    ) -> Sequence[Array | None]:
        axes = axes_of(axis, len(x.shape), operation="gradient")
        kept = tuple(1 if each in axes else size for each, size in enumerate(x.shape))
        out = out.reshape(kept) if isinstance(out, Array) else out
        return by_axes(g.reshape(kept), out, (x,), wanted, {"axes": axes, **options})

    return Gradient(joint=joint, reads=(by_axes.reads_array(-1), by_axes.reads_array(0)))


def _doc(row: Reduction) -> str:
    kinds = ", ".join(each.name for each in ELEMENTS.values() if each.kind in row.kinds)
    gives = row.gives.name if row.gives else f"x's dtype{', int32 for bool' if row.widens_bool else ''}"
    about = [f"For {kinds}; the result is {gives}." if row.gives else f"For {kinds}; the result has {gives}."]
    if row.widens_bool:
        about.append("`dtype` converts first.")
    if row.bound is not None:
        about.append("f16 is computed in f32; integers wrap around.")
    nothing = " Raises ShapeError where there are no elements." if row.of_nothing is None else ""
    return (
        f"numpy.{row.name} of x over `axis`, on the device; over all axes where it is None.\n\n"
        f"    {' '.join(about)}{nothing}\n    Raises DtypeError, ShapeError, LimitError, OutOfMemory.\n    "
    )


def cost(arrays: Sequence[Array], result: Array) -> Cost:
    """One operation for each element."""
    return Cost(arrays[0].size, arrays[0].nbytes + result.nbytes)


def _forward(
    row: Reduction,
    x: Array,
    *,
    axis: Axis = None,
    dtype: DtypeLike | None = None,
    keepdims: bool = False,
    **options: object,
) -> Array:
    x = x if dtype is None else x.astype(dtype, copy=False)
    return reduced(row, source_of(x), axis=axis, keepdims=keepdims, **options)


# What is reduced, and how.


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
    return Source(_as_they_are(x.kind), x.kind, (x,), x.shape)


def _as_they_are(kind: Dtype) -> Body:
    return Body(kind.name, (kind.wgsl,), kind.wgsl, "x")


def _of_partial_results(row: Reduction, computed: Dtype) -> Body | None:
    """What a later pass reads: elements, or accumulators."""
    return _as_they_are(computed) if row.monoid.plain else None


def reduced(
    row: Reduction, source: Source, *, axis: Axis = None, keepdims: bool = False, **options: object
) -> Array:
    """A reduction of the values of an expression, which are computed as they are read.

    Part of the `forward` of an operation. Raises DtypeError, ShapeError, LimitError.
    """
    if source.dtype.kind not in row.kinds:
        raise DtypeError(f'{row.name}: not for {source.dtype.name}: convert with .astype("f32")')
    if row.ordered and isinstance(axis, tuple):
        raise ShapeError(f"{row.name}: over one axis, or all: got {axis}; reshape to join axes")
    shape = source.shape
    axes = axes_of(axis, len(shape), operation=row.name)
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    result = tuple(1 if axis in axes else size for axis, size in enumerate(shape)) if keepdims else kept
    target, device = row.result(source.dtype), source.arrays[0].device
    if not prod(shape):
        if prod(result) and row.of_nothing is None:
            raise ShapeError(f"{row.name}: of no elements: shape {shape} over axes {axes}")
        return full(result, row.of_nothing or 0, dtype=target, device=device)
    count = prod(shape[axis] for axis in axes)
    number = 0 if row.number is None else dtypes.f32_word(row.number(count, **options))
    box = _box(row, source, axes)
    if box is None:
        source, axes = _gathered(source, axes)
        box = _box(row, source, axes)
        assert box is not None
    out = _launched(row, source, box, number)
    made = Array(out, box.layout(target, kept))
    return made.reshape(result) if keepdims else made


def _box(row: Reduction, source: Source, axes: Shape) -> Box | None:
    arrays = source.arrays
    strides = [broadcast_strides(each.shape, each.strides, source.shape) for each in arrays]
    starts = [windows.bound(each)[1] for each in arrays]
    return box_of(source.shape, axes, starts, strides, ordered=row.ordered)


def _gathered(source: Source, axes: Shape) -> tuple[Source, Shape]:
    """The values in new memory, with the reduced axes last: for more axes than kernels take."""
    (x,) = arrays = source.arrays if source.body.expression == "x" else [None]
    if x is None or len(arrays) > 1:
        x = allocate(source.arrays[0].device, source.shape, source.dtype, operation=source.body.name)
        compute(source.body, source.operands, x)
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    return source_of(x.transpose([*kept, *axes]).copy()), tuple(range(len(kept), len(source.shape)))


def _launched(row: Reduction, source: Source, box: Box, number: int) -> Buffer:
    """The buffer of the results, after all passes."""
    device, computed = source.arrays[0].device, row.computed(source.dtype)
    buffers: list[Buffer | BufferBinding] = [windows.bound(each)[0] for each in source.arrays]
    numbers = [each for each in source.operands if not isinstance(each, Array)]
    body: Body | None = source.body
    operands = ["" if isinstance(each, Array) else "number" for each in source.operands]
    target = row.result(source.dtype)
    vec4 = any(columns_aligned(box, each) for each in box.places)
    for each in passes(
        box.rows, box.n, box.inner, cpu=device.adapter.is_cpu, vec4=vec4, max_threads=device.limits.threads
    ):
        box = box.by_rows() if each.kernel == "rows" else box
        stage = Stage(row.name, row.monoid, computed, body, target.wgsl if each.width == 1 else "")
        size = target.itemsize if each.width == 1 else row.monoid.nbytes(computed)
        out = device.empty(box.rows * each.width * box.inner * size, label=row.name)
        form = form_of(each, box, operands, stage, subgroups=has_subgroups(device))
        launch_pass(device, stage, form, box, each, buffers, out, number=number, numbers=numbers)
        buffers, numbers, operands = [out], [], [""]
        body = _of_partial_results(row, computed)
        box = rows_box(box.rows, each.width, box.inner)
    return out


def has_subgroups(device: Device) -> bool:
    """Whether rows are reduced by subgroups. CPU drivers emulate them."""
    return "subgroup" in device.adapter.features and not device.adapter.is_cpu


def stage_of(row: Reduction, kind: Dtype) -> Stage:
    """The only pass over elements of `kind`."""
    return Stage(row.name, row.monoid, row.computed(kind), _as_they_are(kind), row.result(kind).wgsl)


def partial_stages(row: Reduction, kind: Dtype) -> list[Stage]:
    """The passes that only long reductions take: the first, those in between, and the last."""
    whole, body = stage_of(row, kind), _of_partial_results(row, row.computed(kind))
    return [replace(whole, result=""), replace(whole, body=body, result=""), replace(whole, body=body)]


def covering() -> list[tuple[Stage, Form]]:
    """Kernels that cover all: each reduction by threads, in f32 by rows, and each form with a few of them."""
    rows = Form("rows", ("vec4",), vec4=True, across=32, subgroups=True)
    found = []
    for row in REDUCTIONS.values():
        kinds = [kind for kind in ELEMENTS.values() if kind.kind in row.kinds]
        found += [(stage_of(row, kind), Form("threads", ("scalar",))) for kind in kinds]
        found.append((stage_of(row, F32), rows))
    forms = [
        Form("rows", ("vec4",), vec4=True, across=32),
        Form("rows", ("scalar",), across=8, outer_axes=3, reduced_axes=2),
        Form("columns", ("vec4",), vec4=True, across=4),
        Form("columns", ("scalar",), across=32, outer_axes=3, reduced_axes=2),
    ]
    for name, kind in (("sum", F16), ("argmax", F32), ("var", F16), ("logsumexp", F32)):
        stages = [*partial_stages(REDUCTIONS[name], kind)]
        found += [(stage_of(REDUCTIONS[name], kind), form) for form in forms]
        found += [(stage, Form("rows", ("scalar",), across=64)) for stage in stages]
    large = Form("rows", ("vec4",), vec4=True, threads=1024, across=1024, subgroups=True)
    return [*found, (stage_of(REDUCTIONS["sum"], F32), large)]


def variants() -> list[Spec]:
    """The kernels of `covering`."""
    return list(dict.fromkeys(spec(*each) for each in covering()))
