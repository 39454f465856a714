"""Elementwise operations on arrays: operands made alike, then one launch, flat where memory allows."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from math import prod
from types import NotImplementedType

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate
from rusty_py.device import Device, default_device
from rusty_py.dtypes import BOOL, ELEMENTS, F16, Dtype, Scalar
from rusty_py.errors import DtypeError, LimitError
from rusty_py.kernel import Spec, launch
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops import table
from rusty_py.ops.creation import asarray, full
from rusty_py.ops.table import BINARY, THREADS, UNARY, Row, groups_for
from rusty_py.views import Shape, View, broadcast, broadcast_strides, collapse

MOST_AXES = 8
# A strided element costs a division by every size; it counts for pacing.
_STRIDED_FLOPS = 8
_WORD = 0xFFFFFFFF


def binary(name: str, a: Array, b: object, *, reflected: bool = False) -> Array | NotImplementedType:
    """The operation `name` of `table` on an array and an operand; `reflected` computes b before a.

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
    device = _device_of(condition, x, y)
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
            row, reflected = BINARY[row.mirror], False
        out = allocate(a.device, a.shape, row.result(a.kind), operation=row.name)
        _elementwise(_number_spec, (row.name, a.kind, reflected), (a, out), out, word=b)
        return out
    kind = dtypes.promoted(a.kind, b.kind, operation=row.name)
    _supported(row, kind)
    a, b = a.astype(kind, copy=False), b.astype(kind, copy=False)
    shape = broadcast(a.shape, b.shape, operation=row.name)
    out = allocate(a.device, shape, row.result(kind), operation=row.name)
    _elementwise(_binary_spec, (row.name, kind), (a, b), out)
    return out


def _forward_unary(row: Row, x: Array) -> Array:
    _supported(row, x.kind)
    out = allocate(x.device, x.shape, x.kind, operation=row.name)
    _elementwise(_unary_spec, (row.name, x.kind, x.kind), (x, out), out, word=0)
    return out


def _forward_astype(x: Array, *, dtype: Dtype) -> Array:
    return _forward_assign(x, allocate(x.device, x.shape, dtype, operation="astype"))


def _forward_assign(x: Array, out: Array) -> Array:
    """`out` may have any layout and dtype, and is in another buffer."""
    if x.buffer is out.buffer:
        x = _forward_astype(x, dtype=x.kind)
    if x.shape != out.shape:
        x = x.view(View(x.offset, out.shape, broadcast_strides(x.shape, x.strides, out.shape)))
    _elementwise(_unary_spec, ("cast", x.kind, out.kind), (x, out), out, word=0)
    return out


def _forward_where(mask: Array, x: Array, y: Array) -> Array:
    kind = dtypes.promoted(x.kind, y.kind, operation="where")
    x, y = x.astype(kind, copy=False), y.astype(kind, copy=False)
    shape = broadcast(mask.shape, x.shape, y.shape, operation="where")
    out = allocate(mask.device, shape, kind, operation="where")
    _elementwise(_where_spec, ("f16" if kind is F16 else "u32",), (mask, x, y), out)
    return out


for _row in BINARY.values():
    OPERATIONS.add(
        Operation(_row.name, partial(_forward_binary, _row), _row.oracle, mixed=partial(binary, _row.name))
    )
for _row in UNARY.values():
    OPERATIONS.add(Operation(_row.name, partial(_forward_unary, _row), _row.oracle))
OPERATIONS.add(Operation("astype", _forward_astype))
OPERATIONS.add(Operation("assign", _forward_assign, writes=True))
OPERATIONS.add(Operation("where", _forward_where, np.where))


def _device_of(*operands: object) -> Device:
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
    if name == "power" and kind.kind in "iu" and number < 0 and not reflected:
        raise DtypeError(
            f"power: an integer to a negative power is no integer: {kind.name} ** {number}:"
            ' convert the array with .astype("f32")'
        )
    if reflected:
        return apply(OPERATIONS[name], a, words=(word,), reflected=True)
    return apply(OPERATIONS[name], a, words=(word,))


def _elementwise(
    spec_of: Callable[..., Spec],
    arguments: Sequence[object],
    operands: Sequence[Array],
    out: Array,
    *,
    word: int | None = None,
) -> None:
    """One launch over the elements of `out`. Kernels with a `word` take the layout of `out`, too."""
    shape = out.shape
    if not out.size:
        return
    sizes, steps = _layout(shape, operands)
    device, flat = out.device, len(sizes) <= 1
    spec = spec_of(*arguments, flat)
    starts = [each.offset for each in operands]
    dims = _flat_dims(out.size, starts, steps, word) if flat else _dims(spec, sizes, starts, steps, word or 0)
    inputs = operands if word is None else operands[:-1]
    launch(
        device,
        spec,
        inputs=[each.buffer for each in inputs],
        outputs=[out.buffer],
        dims=dims,
        workgroups=(groups_for(device, out.size, operation=spec.name), 1, 1),
        flops=out.size * (1 if flat else _STRIDED_FLOPS),
    )


def _layout(shape: Shape, operands: Sequence[Array]) -> tuple[Shape, Sequence[Shape]]:
    """The axes that `operands` need in common, and the strides of each along them."""
    for each in operands:
        if not each.contiguous or each.shape != shape:
            strides = [broadcast_strides(each.shape, each.strides, shape) for each in operands]
            return collapse(shape, *strides)
    return (prod(shape),), [(1,)] * len(operands)


def _flat_dims(size: int, starts: Sequence[int], steps: Sequence[Shape], word: int | None) -> list[int]:
    dims = [size]
    for start, step in zip(starts, steps, strict=True):
        dims += [start, step[0] & _WORD if step else 0]
    return dims if word is None else [*dims, word]


def _dims(spec: Spec, sizes: Shape, starts: Sequence[int], steps: Sequence[Shape], word: int) -> list[int]:
    if len(sizes) > MOST_AXES:
        raise LimitError(
            f"{spec}: more axes than kernels take: {len(sizes)} that lie apart, {MOST_AXES} at most;"
            " copy or reshape first"
        )
    padding = [0] * (MOST_AXES - len(sizes))
    dims = [prod(sizes), len(sizes), word, 0, *starts, *[0] * (4 - len(starts)), *sizes, *padding]
    for step in steps:
        dims += [*[each & _WORD for each in step], *padding]
    return dims


def _supported(row: Row, kind: Dtype) -> None:
    if kind.kind not in row.kinds:
        raise DtypeError(f"{row.name}: not for {kind.name}: {_converted(row.kinds)}")


def _converted(kinds: str) -> str:
    """How to get an operand of `kinds` without losing values."""
    if "b" in kinds:  # All but floats.
        return "make a mask of it by comparing, as in x != 0"
    return f'convert with .astype("{"f32" if kinds == "f" else "i32"}")'


@cache
def _binary_spec(name: str, kind: Dtype, flat: bool) -> Spec:
    file = "elementwise/binary" if flat else "elementwise/binary_strided"
    text = table.binary_text(BINARY[name], kind)
    return Spec(file, 2, 1, THREADS, definitions=text, variant=f"{name},{kind.name}")


@cache
def _number_spec(name: str, kind: Dtype, number_first: bool, flat: bool) -> Spec:
    file = "elementwise/unary" if flat else "elementwise/unary_strided"
    text = table.number_text(BINARY[name], kind, number_first=number_first)
    variant = f"{name},{kind.name},number{' first' if number_first else ''}"
    return Spec(file, 1, 1, THREADS, definitions=text, variant=variant)


@cache
def _unary_spec(name: str, source: Dtype, target: Dtype, flat: bool) -> Spec:
    file = "elementwise/unary" if flat else "elementwise/unary_strided"
    if name != "cast":
        text, variant = table.unary_text(UNARY[name], source), f"{name},{source.name}"
    else:
        text, variant = table.cast_text(source, target), f"{source.name} to {target.name}"
        if source is target:
            variant = "copy,f16" if source is F16 else "copy,word"
    return Spec(file, 1, 1, THREADS, definitions=text, variant=variant)


@cache
def _where_spec(word: str, flat: bool) -> Spec:
    file = "elementwise/where" if flat else "elementwise/where_strided"
    return Spec(file, 3, 1, THREADS, definitions=f"alias elem = {word};\n", variant=word)


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    specs: list[Spec] = []
    for flat in (True, False):
        specs += [_where_spec(word, flat) for word in ("u32", "f16")]
        for source in ELEMENTS.values():
            specs += [_unary_spec("cast", source, target, flat) for target in ELEMENTS.values()]
            specs += [
                _unary_spec(row.name, source, source, flat)
                for row in UNARY.values()
                if source.kind in row.kinds
            ]
            for row in BINARY.values():
                if source.kind in row.kinds:
                    specs.append(_binary_spec(row.name, source, flat))
                    specs += [
                        _number_spec(row.name, source, first, flat) for first in {False, not row.mirror}
                    ]
    return list(dict.fromkeys(specs))
