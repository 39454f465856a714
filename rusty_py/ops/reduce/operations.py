"""The functions and records of reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, Protocol

from numpy.typing import ArrayLike

from rusty_py import dtypes
from rusty_py.arrays import Array
from rusty_py.dtypes import ELEMENTS, F16, F32, Dtype, DtypeLike
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Cost, Gradient, Operation, Rule, apply
from rusty_py.ops.creation import full
from rusty_py.ops.reduce.kernels import Form, Stage, spec
from rusty_py.ops.reduce.parts import fits_at_once, in_parts
from rusty_py.ops.reduce.reduction import REDUCTIONS, Axis, Reduction
from rusty_py.ops.reduce.source import Source, as_they_are, at_once, of_partial_results, source_of
from rusty_py.runtime.launch import Spec
from rusty_py.views import axes_of, axis_key


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
        return apply(operation, x, axis=axis_key(axis, operation=row.name), keepdims=keepdims)

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
        return apply(operation, x, axis=axis_key(axis, operation=row.name), dtype=dtype, keepdims=keepdims)

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
    computed = at_once if fits_at_once(row, source, axes) else in_parts
    made = computed(row, source, axes, number)
    return made.reshape(result) if keepdims else made


def stage_of(row: Reduction, kind: Dtype) -> Stage:
    """The only pass over elements of `kind`."""
    return Stage(row.name, row.monoid, row.computed(kind), as_they_are(kind), row.result(kind).wgsl)


def partial_stages(row: Reduction, kind: Dtype) -> list[Stage]:
    """The passes that only long reductions take: the first, those in between, and the last."""
    whole, body = stage_of(row, kind), of_partial_results(row, row.computed(kind))
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
        Form("rows", ("vec4",), vec4=True, across=1, subgroups=True),
        Form("rows", ("vec4",), vec4=True, across=2, subgroups=True),
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
