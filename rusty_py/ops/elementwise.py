"""Elementwise operations on arrays: operands made alike, then one launch of a generated kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from types import NotImplementedType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes, oracle, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype, Scalar
from rusty_py.errors import DtypeError, LimitError, UnsupportedError
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, Rule, apply
from rusty_py.ops import generator, windows
from rusty_py.ops.creation import asarray, full
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import MAX_AXES, NAMES, Body, Skeleton
from rusty_py.ops.grid import groups_for, groups_of_box
from rusty_py.ops.transposing import transposition
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device, default_device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.samples import Sample, Values
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, broadcast, broadcast_strides, collapse

# An element whose place takes divisions; it counts for pacing.
GENERAL_FLOPS = 8
# Elements from which threads take two vec4s of f16: with fewer, there would be too few threads.
_MIN_PAIRS = 1 << 17
# The error, in units of f32, of expressions for f16 alone: 2^-16, of the 2^-11 by which a result is rounded.
F16_ULPS = 128
# Along the first axis of a grid: with fewer items most threads of a workgroup would have none.
MIN_GRID_ITEMS = 128


@dataclass(frozen=True, eq=False)
class Row:
    """An elementwise operation: `wgsl` is an expression of x, of y if there are two operands, and so on.

    `numpy` is NumPy's function, `kinds` its letters of the dtypes that it is for; the result has the
    operands' dtype, or is a bool with `truth`. Where NumPy has none, `reference` is a function of NumPy
    arrays, and `formula` begins the docstring in place of NumPy's name. `arity` is the number of operands
    where `numpy` is not a ufunc. `parameters` are numbers that follow the operands in the expression, in f32:
    the default of each by its name.

    `by_dtype` has other expressions for single dtypes. They may call the functions of wgsl/lib; those take
    f32, and with `f16_in_f32`, f16 is computed in f32. `mirror` is the operation that gives the same with its
    operands exchanged.

    `ulps` is how far a float may be from the true result, in units of eps: a number, or a function of the
    operands; 0 is exact. `bound` is for what takes more than that to say, `integers` for what NumPy refuses.
    `operands` makes some to try it with.

    `gradient` has a rule for each operand, `rule(g, out, x)` or `rule(g, out, x, y)`, as `Gradient` says; x
    or y is a number where the operand was one. A str is the reason why there is no gradient. `smooth` makes
    operands at which it is differentiable, where `samples.ordinary` does not. `aliases` are other public
    names of the function.
    """

    name: str
    wgsl: str
    numpy: Callable[..., Any] | None
    kinds: str = "fiu"
    truth: bool = False
    mirror: str = ""
    ulps: float | Callable[..., NDArray[np.float64]] = 0.5
    bound: Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None
    integers: Callable[..., Values] | None = None
    f16_in_f32: bool = False
    by_dtype: Mapping[str, str] = field(default_factory=dict)
    operands: Callable[..., tuple[Values, ...]] = samples.ordinary
    gradient: tuple[Rule | None, ...] | str | None = None
    smooth: Callable[..., tuple[Values, ...]] | None = None
    aliases: tuple[str, ...] = ()
    reference: Callable[..., Any] | None = None
    arity: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)
    formula: str = ""

    @property
    def operands_count(self) -> int:
        """The number of operands that may be arrays."""
        return self.numpy.nin if isinstance(self.numpy, np.ufunc) else self.arity

    @property
    def on_host(self) -> Callable[..., Any]:
        """The function of NumPy arrays that this computes."""
        function = self.reference or self.numpy
        assert function is not None, self.name
        return function

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for operands of `dtype`."""
        return BOOL if self.truth else dtype

    def body(self, dtype: Dtype) -> Body:
        """What is computed of operands of `dtype`."""
        count = self.operands_count
        names = NAMES[: count + len(self.parameters)]
        expression, helpers = self.by_dtype.get(dtype.name, self.wgsl), ""
        if dtype is F16 and self.f16_in_f32:
            of_f32 = ", ".join(f"{name}: f32" for name in names)
            kind = "bool" if self.truth else "f32"
            helpers = f"fn of_f32({of_f32}) -> {kind} {{\n    return {expression};\n}}\n"
            expression = f"of_f32({', '.join(f'f32({name})' for name in names)})"
            expression = expression if self.truth else f"f16({expression})"
        if self.truth:
            expression = f"select(0u, 1u, {expression})"
        types = (dtype.wgsl,) * count + (F32.wgsl,) * len(self.parameters)
        return Body(f"{self.name} {dtype.name}", types, self.result(dtype).wgsl, expression, helpers)

    def made(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
        """Operands of a shape."""
        return self.operands(kind, self.operands_count, *shape, seed=seed)

    def differentiable(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
        """Operands of a shape, at which there is a gradient."""
        return (self.smooth or samples.ordinary)(kind, self.operands_count, *shape, seed=seed)

    def samples(self) -> Iterator[Sample]:
        """One of each dtype."""
        for kind in samples.KINDS:
            if kind.kind in self.kinds:
                yield Sample(f"{self.name} {kind.name}", self.operands(kind, self.operands_count, 6, 10))

    def expected(self, sample: Sample) -> Expected:
        """What WGSL lets an adapter make of the sample's operands, which are of one dtype."""
        given = sample.operands
        kind = next(each for each in samples.KINDS if each.numpy == given[0].dtype)
        with np.errstate(all="ignore"):
            if kind.kind in "iu" and self.integers is not None:
                return Expected(self.integers(*given), None)
            if self.truth or kind.kind != "f" or self.ulps == 0:
                return Expected(np.asarray(self.on_host(*given)), None)
            if self.bound is not None:
                return Expected(*self.bound(*given, dtype=kind))
            exact = [each.astype(np.float64) for each in given]
            reference = np.asarray(self.on_host(*exact))
            ulps = self.ulps(*exact) if callable(self.ulps) else self.ulps
            if kind is F16 and self.f16_in_f32:
                ulps = F16_ULPS if "f16" in self.by_dtype else ulps
                bound = oracle.rounding(reference, ulps=ulps, dtype=F32)
                return Expected(reference, bound + oracle.rounding(reference, ulps=0.5, dtype=F16))
            return Expected(reference, oracle.rounding(reference, ulps=ulps, dtype=kind))


ROWS: dict[str, Row] = {}
"""By name: what `rows` defines."""


def define_unary(row: Row) -> Callable[[Array | ArrayLike], Array]:
    """Registers an operation of one operand; returns its public function."""

    def function(x: Array | ArrayLike, /) -> Array:
        return apply(operation, x)

    operation = define(row, function)
    return function


def define_binary(row: Row) -> Callable[[Array | ArrayLike, Array | ArrayLike], Array]:
    """Registers an operation of two operands; returns its public function."""

    def function(x: Array | ArrayLike, y: Array | ArrayLike, /) -> Array:
        if isinstance(x, Array):
            result = binary(row.name, x, y)
        elif isinstance(y, Array):
            result = binary(row.name, y, x, reflected=True)
        else:
            result = binary(row.name, asarray(x), y)
        if result is NotImplemented:
            raise TypeError(f"{row.name}: not for operands of {type(x).__name__} and {type(y).__name__}")
        return result

    define(row, function, forward=_forward_binary, mixed=partial(binary, row.name))
    return function


def define(
    row: Row,
    function: Callable[..., Array] | None = None,
    *,
    forward: Callable[..., Array] | None = None,
    mixed: Callable[..., Array] | None = None,
) -> Operation:
    """Registers the operation of a row, with the public function, if it has one.

    The operation takes arrays, then words: those of the operands in its option `numbers`, which are counted
    from 0, and those of all parameters or of none.
    """
    if function is not None:
        function.__name__ = function.__qualname__ = row.name
        function.__doc__, function.__module__ = function.__doc__ or _doc(row), "rusty_py"
    ROWS[row.name] = row
    return OPERATIONS.add(
        Operation(
            row.name,
            partial(forward or _forward, row),
            numpy=row.numpy,
            function=function,
            mixed=mixed,
            takes_words=mixed is not None,
            kinds=row.kinds,
            samples=row.samples,
            operands=row.made,
            expected=row.expected,
            gradient=_gradient(row),
            reference=row.reference,
            smooth=row.differentiable,
            aliases=row.aliases,
        )
    )


def _gradient(row: Row) -> Gradient | str | None:
    """The rules of a row, also where an operand is the word of a number, or their order is reversed."""
    if row.truth:
        return "the result is a mask"
    if not isinstance(row.gradient, tuple):
        return row.gradient
    by_operand, count = Gradient(*row.gradient), row.operands_count

    def joint(
        g: Array,
        out: Array,
        *given: Any,
        wanted: Sequence[bool],
        reflected: bool = False,
        numbers: tuple[int, ...] = (),
    ) -> Sequence[Array | None]:
        arrays = [each for each in given if isinstance(each, Array | Layout)]
        words = [number_of(each, arrays[0]) for each in given if not isinstance(each, Array | Layout)]
        places = _array_places(count, len(arrays), (0,) if reflected else numbers)
        operands, flags = _placed(count, places, arrays, words), [False] * count
        for place, flag in zip(places, wanted, strict=True):
            flags[place] = flag
        found = by_operand(g, out, operands, flags, {})
        return [found[place] if place < len(found) else None for place in places]

    reads = tuple(by_operand.reads_array(i) for i in range(-1, count))
    if not any(row.gradient):
        reads = (False,) * (count + 1)
    elif len(set(reads[1:])) > 1:
        reads = (reads[0], *[True] * count)  # Which of them a single array is depends on the call.
    return Gradient(joint=joint, reads=reads)


def _array_places(count: int, arrays: int, numbers: Sequence[int]) -> list[int]:
    """Which of `count` operands are arrays: the first ones that are no numbers."""
    return [i for i in range(count) if i not in numbers][:arrays]


def _placed(count: int, places: Sequence[int], arrays: Sequence[Any], words: Sequence[Any]) -> list[Any]:
    """The operands in the order of the expression, then the parameters."""
    first, second = iter(arrays), iter(words)
    return [*(next(first) if i in places else next(second) for i in range(count)), *second]


def number_of(word: int, beside: Array | Layout) -> float | int | bool:
    """The number whose word was computed with the array `beside` or its layout."""
    kind = beside.kind if isinstance(beside, Array) else beside.dtype
    return dtypes.number_of_word(word, kind)


def _doc(row: Row) -> str:
    kinds = ", ".join(each.name for each in ELEMENTS.values() if each.kind in row.kinds)
    made = "bool" if row.truth else "the operands' dtype"
    operands = "x" if row.operands_count == 1 else "x and y, whose shapes broadcast"
    what = row.formula or f"numpy.{row.on_host.__name__}"
    return (
        f"{what} of {operands}, elementwise on the device: for {kinds}; gives {made}.\n\n"
        "    Takes arrays, and what `asarray` does. Raises DtypeError, ShapeError, LimitError, OutOfMemory;\n"
        "    DeviceError for arrays of two devices.\n    "
    )


def binary(name: str, a: Array, b: object, *, reflected: bool = False) -> Array | NotImplementedType:
    """The operation `name` of `rows` on an array and an operand; `reflected` computes b before a.

    Shapes broadcast. NotImplemented for operands that are neither numbers nor arrays of NumPy's or ours.
    Raises ShapeError, DtypeError, DeviceError for arrays of two devices, LimitError, OutOfMemory.
    """
    if type(b) is float or type(b) is int:  # What comes often first.
        return _with_number(name, a, b, reflected=reflected)
    if isinstance(b, np.generic) and not isinstance(b, float):
        return _strong_number(name, a, b, reflected=reflected)
    if isinstance(b, bool | int | float):
        return _with_number(name, a, b, reflected=reflected)
    if isinstance(b, np.ndarray | list | tuple):
        b = asarray(b, device=a.device)
    if not isinstance(b, Array):
        return NotImplemented  # type: ignore[no-any-return]
    operation = OPERATIONS[name]
    return apply(operation, b, a) if reflected else apply(operation, a, b)


def where(condition: Array | ArrayLike, x: Array | ArrayLike, y: Array | ArrayLike, /) -> Array:
    """`x` where `condition` is true, else `y`; shapes broadcast, a number takes the other's dtype.

    condition: bool. Raises DtypeError for another condition and for dtypes that do not mix, ShapeError.
    """
    device = device_of(condition, x, y)
    mask = asarray(condition, device=device)
    if mask.kind is not BOOL:
        raise DtypeError(f"where: the condition is not bool: {mask.kind.name}: compare, as in x != 0")
    return apply(OPERATIONS["where"], mask, *_choices(x, y, device))


# What the operations compute, from arrays of one device.


def _forward_binary(row: Row, a: Array, b: Array | int, *, reflected: bool = False) -> Array:
    """`b` is an array, or the word of a number of a's dtype."""
    if not isinstance(b, Array):
        _supported(row, a.kind)
        if reflected and row.mirror:
            row, reflected = ROWS[row.mirror], False
        out = allocate(a.device, a.shape, row.result(a.kind), operation=row.name)
        compute(row.body(a.kind), (b, a) if reflected else (a, b), out)
        return out
    kind = dtypes.promoted(a.kind, b.kind, operation=row.name)
    _supported(row, kind)
    a, b = a.astype(kind, copy=False), b.astype(kind, copy=False)
    shape = broadcast(a.shape, b.shape, operation=row.name)
    out = allocate(a.device, shape, row.result(kind), operation=row.name)
    compute(row.body(kind), (a, b), out)
    return out


def _forward(row: Row, *given: Array | int, numbers: tuple[int, ...] = ()) -> Array:
    """`given` are arrays, then words, as `define` says."""
    arrays = [each for each in given if isinstance(each, Array)]
    words = [each for each in given if not isinstance(each, Array)]
    kind = arrays[0].kind
    for each in arrays[1:]:
        kind = dtypes.promoted(kind, each.kind, operation=row.name)
    _supported(row, kind)
    arrays = [each.astype(kind, copy=False) for each in arrays]
    shape = broadcast(*(each.shape for each in arrays), operation=row.name)
    out = allocate(arrays[0].device, shape, row.result(kind), operation=row.name)
    count = row.operands_count
    if len(arrays) + len(words) == count:
        words += [dtypes.f32_word(each) for each in row.parameters.values()]
    operands = _placed(count, _array_places(count, len(arrays), numbers), arrays, words)
    compute(row.body(kind), operands, out)
    return out


def _forward_astype(x: Array, *, dtype: Dtype) -> Array:
    out = allocate(x.device, x.shape, dtype, operation="astype")
    compute(cast(x.kind, dtype), (x,), out)
    return out


def _forward_assign(x: Array, out: Array) -> Array:
    """`out` may have any layout in which no elements share memory, and any dtype."""
    refuse_shared(out, operation="assign")
    if x.buffer is out.buffer:
        x = _forward_astype(x, dtype=x.kind)
    compute(cast(x.kind, out.kind), (x,), out, fresh=False)
    return out


def refuse_shared(out: Array, *, operation: str) -> None:
    """Raises UnsupportedError for an array that repeats elements: which value would stay is not defined."""
    if out.size > 1 and any(size > 1 and not step for size, step in zip(out.shape, out.strides, strict=True)):
        raise UnsupportedError(
            f"{operation}: elements share memory: shape {out.shape} with strides {out.strides}:"
            " assign to a .copy()"
        )


def _forward_where(mask: Array, x: Array, y: Array) -> Array:
    kind = dtypes.promoted(x.kind, y.kind, operation="where")
    x, y = x.astype(kind, copy=False), y.astype(kind, copy=False)
    shape = broadcast(mask.shape, x.shape, y.shape, operation="where")
    out = allocate(mask.device, shape, kind, operation="where")
    compute(_choice(kind), (mask, x, y), out)
    return out


# Floats beyond an integer's range become its ends, on every device; NaN becomes anything.
_CASTS: dict[Dtype, str | dict[str, str]] = {
    F32: "f32(x)",
    F16: "f16(f32(x))",
    I32: {"f": "i32(clamp(f32(x), -2147483648.0, 2147483520.0))", "": "i32(x)"},
    U32: {"f": "u32(clamp(f32(x), 0.0, 4294967040.0))", "": "u32(x)"},
    BOOL: {"f": "select(1u, 0u, x == 0.0)", "": "select(1u, 0u, x == 0)"},
}


def cast(source: Dtype, target: Dtype) -> Body:
    """A conversion, or a copy of the words as they are, whatever they mean."""
    if source is target:
        word = "f16" if source is F16 else "u32"
        return Body(f"copy {word}", (word,), word, "x")
    cast = _CASTS[target]
    expression = cast if isinstance(cast, str) else cast.get(source.kind, cast[""])
    return Body(f"{source.name} to {target.name}", (source.wgsl,), target.wgsl, expression)


def _choice(kind: Dtype) -> Body:
    word = "f16" if kind is F16 else "u32"
    return Body(f"where {word}", ("u32", word, word), word, "select(z, y, x != 0u)")


def _samples_of_astype() -> Iterator[Sample]:
    for source in samples.KINDS:
        for target in samples.KINDS:
            x = samples.values(source, 6, 10)
            if source.kind == "f" and target is U32:
                x = np.abs(x)
            if target is F16 and source.kind in "iu":
                x = (x % 2000).astype(source.numpy)
            yield Sample(f"{source.name} to {target.name}", (x,), {"dtype": target})


def _expected_of_astype(sample: Sample) -> Expected:
    (x,), target = sample.operands, sample.options["dtype"]
    if target.kind != "f" or x.dtype.kind == "b":
        return Expected(x.astype(target.numpy), None)
    exact = x.astype(np.float64)
    return Expected(exact, oracle.rounding(exact, ulps=1.0, dtype=target))


def _samples_of_where() -> Iterator[Sample]:
    for kind in samples.KINDS:
        mask = samples.values(BOOL, 6, 10)
        yield Sample(f"where {kind.name}", (mask, *samples.ordinary(kind, 2, 6, 10)))


def _operands_of_where(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return samples.values(BOOL, *shape, seed=seed), *samples.ordinary(kind, 2, *shape, seed=seed)


def _exactly(function: Callable[..., Values], sample: Sample) -> Expected:
    return Expected(np.asarray(function(*sample.operands)), None)


OPERATIONS.add(
    Operation(
        "astype",
        _forward_astype,
        samples=_samples_of_astype,
        expected=_expected_of_astype,
        gradient=Gradient(lambda g, _out, _x, dtype: g),
        reference=lambda x, dtype: x,
    )
)
OPERATIONS.add(Operation("assign", _forward_assign, writes=True, gradient="it writes in place"))
OPERATIONS.add(
    Operation(
        "where",
        _forward_where,
        numpy=np.where,
        function=where,
        samples=_samples_of_where,
        operands=_operands_of_where,
        expected=partial(_exactly, np.where),
        gradient=Gradient(
            None,
            lambda g, _out, mask, _x, _y: where(mask, g, 0.0),
            lambda g, _out, mask, _x, _y: where(mask, 0.0, g),
        ),
    )
)


def device_of(*operands: object) -> Device:
    """That of the first array; the default one where there is none."""
    arrays = [each for each in operands if isinstance(each, Array)]
    return arrays[0].device if arrays else default_device()


def _choices(x: object, y: object, device: Device) -> tuple[Array, Array]:
    """Both as arrays of one dtype."""
    if isinstance(x, bool | int | float) and isinstance(y, bool | int | float):
        numbers = asarray([x, y], device=device)
        return numbers[0], numbers[1]
    if isinstance(x, bool | int | float):
        right = asarray(y, device=device)
        return _beside(x, right), right
    left = asarray(x, device=device)
    if isinstance(y, bool | int | float):
        return left, _beside(y, left)
    return left, asarray(y, device=device)


def _beside(number: Scalar, x: Array) -> Array:
    dtypes.scalar_word(number, x.kind, operation="where")  # Says what is wrong in this operation's name.
    return full((), number, dtype=x.kind, device=x.device)


def _strong_number(name: str, a: Array, b: np.generic, *, reflected: bool) -> Array | NotImplementedType:
    """NumPy's numbers have a dtype, which counts as that of an array does."""
    kind = dtypes.element(b.dtype, operation=name)
    a = a.astype(dtypes.promoted(a.kind, kind, operation=name), copy=False)
    return _with_number(name, a, b.item(), reflected=reflected)


def _with_number(name: str, a: Array, number: Scalar, *, reflected: bool) -> Array:
    kind = a.layout.dtype
    word = dtypes.scalar_word(number, kind, operation=name)
    if name == "pow" and kind.kind in "iu" and number < 0 and not reflected:
        raise DtypeError(
            f"pow: an integer to a negative power is no integer: {kind.name} ** {number}:"
            ' convert the array with .astype("f32")'
        )
    if reflected:
        return apply(OPERATIONS[name], a, words=(word,), reflected=True)
    return apply(OPERATIONS[name], a, words=(word,))


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
    if _takes_pairs(body, skeleton, out) and not any(starts) and (fresh or out.size % 8 == 0):
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
    index = "flat" if flat else "general"
    if 1 < len(sizes) <= 3 and inner // width >= MIN_GRID_ITEMS:
        index = "grid"
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
    return Skeleton(index, width, tuple(access), wide_axes=index == "general" and len(sizes) > 4)


def _takes_pairs(body: Body, skeleton: Skeleton, out: Array) -> bool:
    """Whether threads take two vec4s of each array: of f16, these are the 16 bytes that GPUs load at once."""
    if out.size < _MIN_PAIRS or {*body.types, body.result} != {"f16"} or out.device.adapter.is_cpu:
        return False
    return skeleton.index == "flat" and skeleton.width == 4 and "scalar" not in skeleton.access


def vec4_aligned(x: Array, stride: Shape) -> bool:
    """Whether the last axis can be accessed as vec4."""
    if not stride or stride[-1] != 1 or x.offset % 4:
        return False
    return all(each % 4 == 0 for each in stride[:-1])


def groups_of(device: Device, skeleton: Skeleton, sizes: Shape, *, operation: str) -> tuple[int, int, int]:
    """The workgroups of a kernel over `sizes`. Raises LimitError for more than the device computes."""
    if skeleton.index != "grid":
        return groups_for(device, ceil_div(prod(sizes), skeleton.width), operation=operation), 1, 1
    z, y, x = (1, *sizes)[-3:]
    return groups_of_box(device, x // skeleton.width, y, z, operation=operation)


def _supported(row: Row, kind: Dtype) -> None:
    if kind.kind not in row.kinds:
        raise DtypeError(f"{row.name}: not for {kind.name}: {_converted(row.kinds)}")


def _converted(kinds: str) -> str:
    """How to get an operand of `kinds` without losing values."""
    if "b" in kinds:  # All but floats.
        return "make a mask of it by comparing, as in x != 0"
    return f'convert with .astype("{"f32" if kinds == "f" else "i32"}")'


def bodies() -> list[tuple[Body, int]]:
    """What is computed by any operation here, for every dtype, and how many parameters that takes."""
    found = [
        (row.body(kind), len(row.parameters))
        for row in ROWS.values()
        for kind in ELEMENTS.values()
        if kind.kind in row.kinds
    ]
    found += [(cast(source, target), 0) for source in ELEMENTS.values() for target in ELEMENTS.values()]
    found += [(_choice(kind), 0) for kind in ELEMENTS.values()]
    return list(dict.fromkeys(found))


def covering() -> list[tuple[Body, Skeleton]]:
    """Kernels that cover all: each body in one skeleton, and each way to find elements with one body."""
    found = [
        (body, Skeleton("flat", 4, ("vec4",) * (len(body.types) - numbers) + ("number",) * numbers))
        for body, numbers in bodies()
    ]
    for kind in (U32, F16):
        found += [(cast(kind, kind), skeleton) for skeleton in generator.skeletons(1)]
        found += [(_choice(kind), skeleton) for skeleton in generator.skeletons(3)]
    found += [(ROWS["subtract"].body(F32), skeleton) for skeleton in generator.skeletons(2)]
    for name, kind in (
        ("divide", F32),
        ("divide", F16),
        ("subtract", I32),
        ("subtract", U32),
        ("equal", BOOL),
    ):
        for access in (("vec4", "number"), ("number", "vec4")):
            found.append((ROWS[name].body(kind), Skeleton("flat", 4, access)))
    for access in (("vec4", "vec4"), ("one", "vec4"), ("vec4", "number")):
        found.append((ROWS["subtract"].body(F16), Skeleton("flat", 8, access)))
    return list(dict.fromkeys(found))


def variants() -> list[Spec]:
    """The kernels of `covering`."""
    return [generator.spec(body, skeleton) for body, skeleton in covering()]
