"""Reductions over axes: a monoid each, in passes by threads, or by workgroups for rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, Dtype, DtypeLike
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.layout import Layout, layout_of
from rusty_py.operation import OPERATIONS, Cost, Gradient, Operation, Rule, apply
from rusty_py.ops.creation import full
from rusty_py.ops.grid import THREADS, groups_for
from rusty_py.ops.views import broadcast_to
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.samples import Sample
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, axes_of, axis_key

THREAD_ELEMENTS = 64
"""The maximum that one thread reduces. More is fewer passes; less is more threads, and less rounding."""

GROUP_ELEMENTS = 1 << 16
"""The maximum that one workgroup reduces of a row: 64 elements of each of four chains of each thread."""

COLUMN_ELEMENTS = 1 << 11
"""The maximum that one workgroup reduces of a column: 64 elements of each of four chains of its 8 threads."""

KERNELS = ("threads", "groups", "columns")

_CHAINS = 4
_CPU_GROUPS = 8
_COLUMNS, _ROWS = 32, 8  # Of a workgroup of the kernel for columns.
_ENOUGH_GROUPS = 1024  # Workgroups that fill a GPU; with fewer, rows and columns are reduced in chunks.
_MIN_CHUNK = {"groups": 1 << 12, "columns": 1 << 7}

Axis = int | Sequence[int] | None


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduction: `combine` is WGSL of a and b, associative and commutative but for rounding.

    `identity` is the WGSL of what changes nothing, by NumPy's letter of the dtype; "" stands for all others.
    `numpy` is NumPy's function. f16 is reduced in f32. `widens_bool`: bools count as int32, as in a sum.
    `of_nothing` is the result of no elements; None where there is none. `by_dtype` has other WGSL for single
    dtypes, by the one that is computed in; it may call the functions of wgsl/lib. `bound` gives the float64
    result and how far rounding leads from it, as `oracle.sum` does; None is exact. `operands` makes some to
    try it with.

    `gradient` is the rule, `rule(g, out, x, *, axes)` as `Gradient` says, or the reason why there is none;
    g and out come with the reduced axes kept, of size 1. `smooth` makes operands at which it is
    differentiable, where `samples.ordinary` does not.
    """

    name: str
    numpy: Callable[..., Any]
    combine: str
    identity: Mapping[str, str]
    kinds: str = "fiub"
    widens_bool: bool = False
    of_nothing: int | None = None
    bound: Callable[..., tuple[Any, Any]] | None = None
    by_dtype: Mapping[str, str] = field(default_factory=dict)
    operands: Callable[..., tuple[samples.Values, ...]] = samples.ordinary
    gradient: Rule | str | None = None
    smooth: Callable[..., tuple[samples.Values, ...]] | None = None

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for elements of `dtype`."""
        return I32 if self.widens_bool and dtype is BOOL else dtype

    def computed(self, dtype: Dtype) -> Dtype:
        """What elements of `dtype` are reduced in."""
        return F32 if dtype is F16 else self.result(dtype)

    def made(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[samples.Values, ...]:
        """The operand of a shape."""
        return self.operands(kind, 1, *shape, seed=seed)

    def differentiable(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[samples.Values, ...]:
        """The operand of a shape, at which there is a gradient."""
        return (self.smooth or samples.ordinary)(kind, 1, *shape, seed=seed)

    def samples(self) -> Iterator[Sample]:
        """Each dtype over some axes: by threads, by workgroups, along rows and columns, and after a copy."""
        cases: list[tuple[Shape, Axis]] = [((43, 7), None), ((5, 67), 0), ((5, 67), 1), ((3, 7, 5), (0, 2))]
        for kind in samples.KINDS:
            if kind.kind not in self.kinds:
                continue
            for shape, axis in [*cases, ((2, 1500), 1), ((300, 3), 0), ((300, 40), 0)]:
                (x,) = self.operands(kind, 1, *shape)
                name = f"{self.name} {kind.name} of {shape} over {axis}"
                yield Sample(name, (x,), {"axis": axis})

    def expected(self, sample: Sample) -> Expected:
        """The result, and how far one of its length may round."""
        (x,), axis = sample.operands, sample.options["axis"]
        kind = next(each for each in samples.KINDS if each.numpy == x.dtype)
        if kind.kind != "f" or self.bound is None:
            with np.errstate(invalid="ignore"):
                return Expected(np.asarray(self.numpy(x, axis=axis)).astype(self.result(kind).numpy), None)
        count = x.size // self.numpy(x, axis=axis).size
        return Expected(*self.bound(x, axis=axis, depth=depth(count), dtype=kind))


REDUCTIONS: dict[str, Reduction] = {}
"""By name: what `rows` defines."""


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
    """Registers a reduction whose result has the elements' dtype; returns its public function."""

    def function(x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
        return apply(operation, x, axis=axis_key(axis), keepdims=keepdims)

    operation = _define(row, function)
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

    operation = _define(row, function)
    return function


def _define(row: Reduction, function: Callable[..., Array]) -> Operation:
    function.__name__ = function.__qualname__ = row.name
    function.__doc__, function.__module__ = _doc(row), "rusty_py"
    REDUCTIONS[row.name] = row
    return OPERATIONS.add(
        Operation(
            row.name,
            partial(_forward, row),
            numpy=row.numpy,
            function=function,
            kinds=row.kinds,
            samples=row.samples,
            operands=row.made,
            expected=row.expected,
            cost=_cost,
            gradient=along_axes(row.gradient) if callable(row.gradient) else row.gradient,
            smooth=row.differentiable,
        )
    )


def along_axes(rule: Rule) -> Gradient:
    """The gradient by a `rule` that takes the gradient and the result with the reduced axes, of size 1."""
    by_axes = Gradient(rule)

    def joint(
        g: Array, out: Any, x: Any, *, wanted: Sequence[bool], axis: Axis = None, **_: object
    ) -> Sequence[Array | None]:
        axes = axes_of(axis, len(x.shape), operation="gradient")
        kept = tuple(1 if each in axes else size for each, size in enumerate(x.shape))
        out = out.reshape(kept) if isinstance(out, Array) else out
        return by_axes(g.reshape(kept), out, (x,), wanted, {"axes": axes})

    return Gradient(joint=joint, reads=(by_axes.reads_array(-1), by_axes.reads_array(0)))


def _doc(row: Reduction) -> str:
    kinds = ", ".join(each.name for each in ELEMENTS.values() if each.kind in row.kinds)
    about = [f"For {kinds}; the result has x's dtype{', int32 for bool' if row.widens_bool else ''}."]
    if row.widens_bool:
        about.append("`dtype` converts first.")
    if row.bound is not None:
        about.append("f16 is added up in f32; integers wrap around.")
    nothing = " Raises ShapeError where there are no elements." if row.of_nothing is None else ""
    return (
        f"numpy.{row.name} of x over `axis`, on the device; over all axes where it is None.\n\n"
        f"    {' '.join(about)}{nothing}\n    Raises DtypeError, ShapeError, LimitError, OutOfMemory.\n    "
    )


def _cost(arrays: Sequence[Array], result: Array) -> Cost:
    return Cost(arrays[0].size, arrays[0].nbytes + result.nbytes)


def mean(x: Array | ArrayLike, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The mean over `axis`, over all of them where it is None; NaN over nothing. f16 is added up in f32.

    x: float32 or float16. Raises DtypeError for others, ShapeError.
    """
    return apply(MEAN, x, axis=axis_key(axis), keepdims=keepdims)


def _forward(
    row: Reduction, x: Array, *, axis: Axis = None, dtype: DtypeLike | None = None, keepdims: bool = False
) -> Array:
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    if x.kind.kind not in row.kinds:
        raise DtypeError(f'{row.name}: not for {x.kind.name}: convert with .astype("f32")')
    axes = axes_of(axis, x.ndim, operation=row.name)
    return _reduce(row, x, axes, row.result(x.kind), keepdims=keepdims)


def _forward_mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    if x.kind.kind != "f":
        raise DtypeError(f'mean: not for {x.kind.name}: convert with .astype("f32")')
    axes = axes_of(axis, x.ndim, operation="mean")
    count = prod(x.shape[axis] for axis in axes)
    total = _reduce(REDUCTIONS["sum"], x, axes, F32, keepdims=keepdims)
    if not count:
        return full(total.shape, float("nan"), dtype=x.kind, device=x.device)
    return (total / count).astype(x.kind, copy=False)


def _samples_of_mean() -> Iterator[Sample]:
    for kind in (F32, F16):
        for shape, axis in [((43, 7), None), ((5, 67), 1), ((5, 67), 0)]:
            name = f"mean {kind.name} of {shape} over {axis}"
            yield Sample(name, (samples.values(kind, *shape),), {"axis": axis})


def _operands_of_mean(kind: Dtype, shape: Shape, *, seed: int) -> tuple[samples.Values, ...]:
    return (samples.values(kind, *shape, seed=seed),)


def _expected_of_mean(sample: Sample) -> Expected:
    (x,), axis = sample.operands, sample.options["axis"]
    kind = F16 if x.dtype == F16.numpy else F32
    count = x.size // np.sum(x, axis=axis).size
    total, bound = oracle.sum(x, axis=axis, depth=depth(count), dtype=F32)
    mean = total / count
    rounded = oracle.rounding(mean, ulps=2.5, dtype=F32)
    if kind is F16:
        rounded = rounded + oracle.rounding(mean, ulps=0.5, dtype=F16)
    return Expected(mean, 1.01 * bound / count + rounded)


def _mean_back(g: Array, _out: Layout, _x: Layout, *, axes: Shape) -> Array:
    return broadcast_to(g / prod(_x.shape[axis] for axis in axes), _x.shape)


MEAN = OPERATIONS.add(
    Operation(
        "mean",
        _forward_mean,
        numpy=np.mean,
        function=mean,
        kinds="f",
        samples=_samples_of_mean,
        operands=_operands_of_mean,
        expected=_expected_of_mean,
        cost=_cost,
        gradient=along_axes(_mean_back),
    )
)


@dataclass(frozen=True)
class Pass:
    """One launch: `kernel` leaves `width` results of each row or column, each of at most `chunk` elements."""

    kernel: str
    width: int
    chunk: int


def passes(outer: int, n: int, inner: int, *, cpu: bool) -> list[Pass]:
    """The passes that reduce (outer, n, inner) over n; the last one leaves a single result."""
    found: list[Pass] = []
    while not found or found[-1].width > 1:
        kernel = _kernel(outer, n, inner, cpu=cpu)
        chunk = _chunk(kernel, outer, n, inner, cpu=cpu)
        found.append(Pass(kernel, ceil_div(n, chunk), chunk))
        n = found[-1].width
    return found


def _kernel(outer: int, n: int, inner: int, *, cpu: bool) -> str:
    """By threads, by workgroups for each result, or by workgroups for 32 neighbouring results."""
    if n <= THREAD_ELEMENTS:
        return "threads"
    if cpu:  # A workgroup with barriers takes as long there as 1,000 sums.
        few = outer * inner <= _CPU_GROUPS and n <= GROUP_ELEMENTS
        return "groups" if few and (inner == 1 or n * outer * inner <= GROUP_ELEMENTS) else "threads"
    small = outer * n * inner <= GROUP_ELEMENTS
    if inner >= _COLUMNS // 2 and (n <= COLUMN_ELEMENTS or not small):
        return "columns"
    return "groups" if inner == 1 or small else "threads"


def _chunk(kernel: str, outer: int, n: int, inner: int, *, cpu: bool) -> int:
    """How many elements one thread or workgroup reduces: as many as possible with enough workgroups."""
    if kernel == "threads":
        return THREAD_ELEMENTS
    if cpu or outer * n * inner <= GROUP_ELEMENTS:
        return n
    results = outer * (ceil_div(inner, _COLUMNS) if kernel == "columns" else inner)
    limit = COLUMN_ELEMENTS if kernel == "columns" else GROUP_ELEMENTS
    wanted = ceil_div(n, max(1, _ENOUGH_GROUPS // results))
    return min(limit, max(_MIN_CHUNK[kernel], 1 << (wanted - 1).bit_length()))


def depth(n: int) -> int:
    """How many roundings an element of n meets at most, whichever kernels and chunks are chosen."""
    if n <= 1:
        return n
    by_threads = min(n, THREAD_ELEMENTS) + (depth(ceil_div(n, THREAD_ELEMENTS)) if n > THREAD_ELEMENTS else 0)
    return max(by_threads, *(_depth_of_groups(kernel, n) for kernel in ("groups", "columns")))


def _depth_of_groups(kernel: str, n: int) -> int:
    """A chain, the chains of a thread, and a tree of threads, in each pass."""
    threads, limit = (THREADS, GROUP_ELEMENTS) if kernel == "groups" else (_ROWS, COLUMN_ELEMENTS)
    chunk = min(n, limit)
    steps = ceil_div(chunk, _CHAINS * threads) + 2 + threads.bit_length() - 1
    rest = max(ceil_div(n, chunk), ceil_div(n, _MIN_CHUNK[kernel]) if n > _MIN_CHUNK[kernel] else 1)
    return steps + (depth(rest) if rest > 1 else 0)


def _reduce(row: Reduction, x: Array, axes: Shape, target: Dtype, *, keepdims: bool) -> Array:
    kept = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape)) if keepdims else kept
    if not x.size:
        if prod(shape) and row.of_nothing is None:
            raise ShapeError(f"{row.name}: of no elements: shape {x.shape} over axes {axes}")
        return full(shape, row.of_nothing or 0, dtype=target, device=x.device)
    x, (outer, n, inner) = _as_box(x, axes)
    for each in passes(outer, n, inner, cpu=x.device.adapter.is_cpu):
        made = target if each.width == 1 else row.computed(x.kind)
        out = allocate(x.device, (outer * each.width * inner,), made, operation=row.name)
        count = outer * each.width * (ceil_div(inner, _COLUMNS) if each.kernel == "columns" else inner)
        sizes = [n, each.width, inner] if each.kernel == "threads" else [n, each.width, each.chunk, inner]
        launch(
            x.device,
            kernel_spec(row, each.kernel, x.kind, made),
            inputs=[x.buffer],
            outputs=[out.buffer],
            uniforms=(count, *sizes, x.offset),
            workgroups=(_groups(x.device, each, count, operation=row.name), 1, 1),
            flops=outer * n * inner,
        )
        x, n = out, each.width
    return Array(x.buffer, layout_of(target, shape))


def _groups(device: Device, each: Pass, count: int, *, operation: str) -> int:
    """The workgroups of a pass. Raises LimitError if a thread would take too many steps for the device."""
    if each.kernel == "threads":
        return groups_for(device, count, operation=operation, steps=each.chunk + 1)
    threads = THREADS if each.kernel == "groups" else _ROWS
    # As if each thread of a workgroup had a result of its own: the steps are those of all its threads.
    groups_for(device, count * THREADS, operation=operation, steps=ceil_div(each.chunk, threads) + 16)
    return min(count, device.limits.groups)


def _as_box(x: Array, axes: Shape) -> tuple[Array, tuple[int, int, int]]:
    """`x` row-major and as (outer, n, inner), of which n is reduced; a copy where its axes lie otherwise."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    order = [*kept, *axes]
    together = not axes or axes[-1] - axes[0] == len(axes) - 1
    if x.contiguous and together:
        first, last = (axes[0], axes[-1] + 1) if axes else (0, 0)
        return x, (prod(x.shape[:first]), prod(x.shape[first:last]), prod(x.shape[last:]))
    moved = x.transpose(order)
    moved = moved if moved.contiguous else moved.copy()
    return moved, (prod(x.shape[axis] for axis in kept), prod(x.shape[axis] for axis in axes), 1)


@cache
def kernel_spec(row: Reduction, kernel: str, source: Dtype, target: Dtype) -> Spec:
    """A kernel that reduces elements of `source` to results of `target`."""
    computed = row.computed(source)
    types = {"elem": source.wgsl, "total": computed.wgsl, "result": target.wgsl}
    text = "".join(f"alias {name} = {wgsl};\n" for name, wgsl in types.items())
    combine = row.by_dtype.get(computed.name, row.combine)
    identity = row.identity.get(computed.kind, row.identity.get("", ""))
    text += f"fn identity() -> total {{\n    return {identity};\n}}\n"
    text += f"fn combine(a: total, b: total) -> total {{\n    return {combine};\n}}\n"
    variant = f"{row.name} {source.name} to {target.name}"
    nbytes = 0 if kernel == "threads" else THREADS * computed.itemsize
    return Spec(f"reduce/{kernel}", 1, 1, THREADS, nbytes, definitions=text, variant=variant)


def variants() -> list[Spec]:
    """Every kernel that can be launched here: each reduction of each dtype, and f16 in passes."""
    pairs = [
        (row, source, target)
        for row in REDUCTIONS.values()
        for kind in ELEMENTS.values()
        if kind.kind in row.kinds
        for source, target in ((kind, row.result(kind)), *((F16, F32), (F32, F16)) * (kind is F16))
    ]
    return [kernel_spec(row, kernel, *types) for kernel in KERNELS for row, *types in pairs]
