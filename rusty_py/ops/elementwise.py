"""Elementwise operations: what a row defines, of operands made alike, arrays and numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import NotImplementedType

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype, Scalar
from rusty_py.errors import DtypeError
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops import generator
from rusty_py.ops.compute import compute
from rusty_py.ops.conversions import cast
from rusty_py.ops.creation import asarray
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.row import ROWS, Row, array_places, gradient_of, placed
from rusty_py.ops.where import choice
from rusty_py.runtime.launch import Spec
from rusty_py.views import broadcast


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
            gradient=gradient_of(row),
            reference=row.reference,
            smooth=row.differentiable,
            aliases=row.aliases,
        )
    )


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
    if not isinstance(b, Array):
        if isinstance(b, np.generic) and not isinstance(b, float):
            return _strong_number(name, a, b, reflected=reflected)
        if isinstance(b, bool | int | float):
            return _with_number(name, a, b, reflected=reflected)
        if not isinstance(b, np.ndarray | list | tuple):
            return NotImplemented  # type: ignore[no-any-return]
        b = asarray(b, device=a.device)
    operation = OPERATIONS[name]
    return apply(operation, b, a) if reflected else apply(operation, a, b)


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
    operands = placed(count, array_places(count, len(arrays), numbers), arrays, words)
    compute(row.body(kind), operands, out)
    return out


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
    found += [(choice(kind), 0) for kind in ELEMENTS.values()]
    return list(dict.fromkeys(found))


def covering() -> list[tuple[Body, Skeleton]]:
    """Kernels that cover all: each body in one skeleton, and each way to find elements with one body."""
    found = [
        (body, Skeleton("flat", 4, ("vec4",) * (len(body.types) - numbers) + ("number",) * numbers))
        for body, numbers in bodies()
    ]
    for kind in (U32, F16):
        found += [(cast(kind, kind), skeleton) for skeleton in generator.skeletons(1)]
        found += [(choice(kind), skeleton) for skeleton in generator.skeletons(3)]
        found.append((choice(kind), Skeleton("flat", 4, ("vec4", "number", "vec4"))))
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
    found += [(cast(F16, F16), Skeleton("flat", 8, (access,))) for access in ("vec4", "one")]
    return list(dict.fromkeys(found))


def variants() -> list[Spec]:
    """The kernels of `covering`."""
    return [generator.spec(body, skeleton) for body, skeleton in covering()]
