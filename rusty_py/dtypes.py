"""The element types kernels compute in, and the one rule by which values get theirs.

Python's floats become float32, its ints int32, its bools bool. NumPy's float32, float16, int32, uint32 and
bool keep their dtype; of its others, float64 and int64 above all, digits would be lost: they need a dtype.
Beside an array, a Python number takes the array's dtype, if that is of its kind or a wider one.
"""

import struct
from dataclasses import dataclass
from typing import Any
from typing import cast as typed

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rusty_py.errors import DtypeError, ShapeError


@dataclass(frozen=True, eq=False)
class Dtype:
    """An element type. `eps` is the distance from 1.0 to the next number, as in NumPy; 0 for integers.

    `wgsl` and `itemsize` are those of an element in a buffer: WGSL has no bool there, so it is a u32.
    """

    name: str
    numpy: np.dtype[np.generic]
    wgsl: str
    itemsize: int
    eps: float
    stored: np.dtype[np.generic]

    @property
    def kind(self) -> str:
        """NumPy's letter: "f", "i", "u" or "b"."""
        return self.numpy.kind


def _row(name: str, numpy: type[np.generic], wgsl: str, eps: float = 0.0, stored: object = None) -> Dtype:
    held = np.dtype(typed("type[np.generic]", stored or numpy))
    return Dtype(name, np.dtype(numpy), wgsl, held.itemsize, eps, held)


F32 = _row("f32", np.float32, "f32", 2.0**-23)
F16 = _row("f16", np.float16, "f16", 2.0**-10)
I32 = _row("i32", np.int32, "i32")
U32 = _row("u32", np.uint32, "u32")
BOOL = _row("bool", np.bool_, "u32", stored=np.uint32)

_RANGES = {I32: (-(1 << 31), (1 << 31) - 1), U32: (0, (1 << 32) - 1)}

ELEMENTS = {each.name: each for each in (F32, F16, I32, U32, BOOL)}
"""What an array may hold."""

DTYPES = {F32.name: F32, F16.name: F16}
"""What a matrix product computes in."""

Scalar = bool | int | float
_PLAIN = frozenset((bool, int, float))
DtypeLike = DTypeLike | Dtype
"""A name of ours ("f32"), or what NumPy takes for one of those."""

_BY_NUMPY = {(each.numpy.kind, each.numpy.itemsize): each for each in ELEMENTS.values()}
_REMEDY = {"f": F32, "i": I32, "u": U32}
_OF_PYTHON = {"f": F32, "i": I32, "u": I32, "b": BOOL}  # NumPy has read 2**63 as an unsigned integer.
_WIDTH = {"b": 0, "i": 1, "u": 1, "f": 2}
_F32_BYTES, _F16_BYTES, _WORD = struct.Struct("<f"), struct.Struct("<e"), struct.Struct("<I")
_f32_bytes, _word_of = _F32_BYTES.pack, _WORD.unpack

MAX_F32 = float(np.finfo(np.float32).max)


def f32_word(value: float) -> int:
    """The bits of a number as float32. Raises OverflowError where it is too large."""
    word: int = _word_of(_f32_bytes(value))[0]
    return word


def parse(name: str, *, operation: str) -> Dtype:
    """The dtype called `name` ("f32") of a matrix product. Raises DtypeError for any other."""
    if name not in DTYPES:
        raise DtypeError(f"{operation}: unknown dtype: {name!r}; choose one of {', '.join(DTYPES)}")
    return DTYPES[name]


def cast(x: NDArray[np.generic], target: Dtype, *, operation: str) -> NDArray[Any]:
    """`x` in `target`, in the memory layout it has; a copy only where one is needed.

    Raises DtypeError where the kind would be lost.
    """
    if not np.can_cast(x.dtype, target.numpy, "same_kind"):
        raise DtypeError(f"{operation}: cannot turn {x.dtype} into {target.name}")
    return x.astype(target.numpy, copy=False)


def element(dtype: DtypeLike, *, operation: str) -> Dtype:
    """The dtype of an array that `dtype` names. Raises DtypeError for what no array holds."""
    if isinstance(dtype, Dtype):
        return dtype
    if isinstance(dtype, str) and dtype in ELEMENTS:  # First: NumPy reads "f16" as 16 bytes.
        return ELEMENTS[dtype]
    try:
        found = np.dtype(dtype) if dtype is not None else None
    except TypeError:
        found = None
    if found is None:
        raise DtypeError(f"{operation}: unknown dtype: {dtype!r}; choose one of {', '.join(ELEMENTS)}")
    return _held(found, operation=operation)


def _held(dtype: np.dtype[np.generic], *, operation: str) -> Dtype:
    held = _BY_NUMPY.get((dtype.kind, dtype.itemsize))
    if held is None:
        raise DtypeError(f"{operation}: arrays do not hold {dtype}: {_way_out(dtype)}")
    return held


def _way_out(dtype: np.dtype[np.generic]) -> str:
    if dtype.kind == "f":
        return 'say dtype="f32", or convert with .astype("float32") first'
    if dtype.kind in "iu":  # Unlike NumPy's astype, which wraps around.
        return f'say dtype="{_REMEDY[dtype.kind].name}", which refuses integers that do not fit'
    return f"choose one of {', '.join(ELEMENTS)}"


def host_values(
    values: object, dtype: DtypeLike | None, *, operation: str
) -> tuple[NDArray[np.generic], Dtype]:
    """`values` as a C-contiguous NumPy array of the dtype that the rule, or `dtype`, gives them.

    Raises DtypeError where no dtype was said and one is needed, where the kind would be lost, and where a
    number does not fit; ShapeError for lists of unequal lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise DtypeError(f"{operation}: arrays have no mask: fill it first, with .filled(...)")
    try:
        x = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{operation}: not the values of an array: {error}") from None
    if x.dtype.kind not in _WIDTH:
        big = " (an integer of more than 64 bits?)" if x.dtype.kind == "O" else ""
        raise DtypeError(f"{operation}: arrays do not hold {x.dtype}{big}: choose {', '.join(ELEMENTS)}")
    if dtype is not None:
        target = element(dtype, operation=operation)
    elif _are_pythons(values):
        target = _OF_PYTHON[x.dtype.kind]
    else:
        target = _held(x.dtype, operation=operation)
    return fitted(x, target, operation=operation), target


def fitted(x: NDArray[np.generic], target: Dtype, *, operation: str) -> NDArray[np.generic]:
    """`x` in `target`, C-contiguous. Floats may be rounded; nothing else may change.

    Raises DtypeError for a kind that `target` cannot hold and for numbers that it has no room for.
    """
    source = x.dtype
    if _WIDTH.get(source.kind, 3) > _WIDTH[target.kind]:
        raise DtypeError(
            f"{operation}: {target.name} does not hold the values of {source}: use"
            f' dtype="{_OF_PYTHON[source.kind].name}", or convert with .astype, which loses what does not fit'
        )
    if source.kind in "iu" and target.kind in "iu" and x.size:
        minimum, limit = np.iinfo(typed("type[np.int32]", target.numpy.type)).min, _limit(target)
        if int(x.min()) < minimum or int(x.max()) > limit:
            raise DtypeError(
                f"{operation}: integers do not fit {target.name}:"
                f" {int(x.min())} to {int(x.max())}, it holds {minimum} to {limit}"
            )
    try:
        with np.errstate(over="raise"):
            # Not ascontiguousarray, which gives scalars an axis.
            return np.asarray(x, dtype=target.numpy, order="C")
    except FloatingPointError:
        raise DtypeError(
            f"{operation}: numbers do not fit {target.name}: up to {np.abs(x[np.isfinite(x)]).max():g},"
            f" it holds {np.finfo(typed('type[np.float32]', target.numpy.type)).max:g}"
        ) from None


def _limit(target: Dtype) -> int:
    return int(np.iinfo(typed("type[np.int32]", target.numpy.type)).max)


def _are_pythons(values: object) -> bool:
    """Whether `values` are Python's numbers, alone or in lists. np.float64 is a Python float, and meant."""
    if isinstance(values, range):
        return True
    if not isinstance(values, list | tuple):
        return isinstance(values, bool | int | float)
    kinds = set(map(type, values))
    if kinds <= {list, tuple, range}:
        return all(map(_are_pythons, values))
    return all(issubclass(kind, bool | int | float) or hasattr(kind, "word") for kind in kinds)  # Of fusion.


def promoted(a: Dtype, b: Dtype, *, operation: str) -> Dtype:
    """The dtype that arrays of `a` and `b` are computed in. Raises DtypeError where none holds both."""
    if a is b:
        return a
    if a.kind == b.kind == "f":
        return F32
    raise DtypeError(f"{operation}: dtypes do not mix: {a.name} and {b.name}: {_widening(a, b)}")


def _widening(a: Dtype, b: Dtype) -> str:
    """How to convert one of two dtypes without losing values of the other."""
    narrow, wide = sorted((a, b), key=lambda each: _WIDTH[each.kind])
    if _WIDTH[narrow.kind] == _WIDTH[wide.kind]:
        return f'convert the one whose values fit, with .astype("{a.name}") or .astype("{b.name}")'
    target = F32 if wide is F16 and narrow is not BOOL else wide
    return f'convert the {narrow.name} operand with .astype("{target.name}")'


def scalar_word(value: Scalar, dtype: Dtype, *, operation: str) -> int:
    """A Python number beside an array of `dtype`, as the 32 bits that kernels take; f16 travels as f32.

    Raises DtypeError where its kind is not that of `dtype` or a narrower one, or it does not fit.
    """
    if type(value) not in _PLAIN and hasattr(type(value), "word"):  # Of fusion: known at each call.
        word: int = value.word(dtype, operation=operation)  # type: ignore[union-attr]
        return word
    try:
        if dtype is F32:
            return f32_word(value)
        if dtype is F16:  # Rounded once, from 64 bits to 16.
            (rounded,) = _F16_BYTES.unpack(_F16_BYTES.pack(value))
            return int(_WORD.unpack(_F32_BYTES.pack(rounded))[0])
    except (OverflowError, struct.error):
        raise DtypeError(f"{operation}: the number does not fit {dtype.name}: {value!r}") from None
    if dtype is BOOL:
        if not isinstance(value, bool):
            target = F32 if isinstance(value, float) else I32
            raise DtypeError(
                f"{operation}: dtypes do not mix: bool and {value!r}:"
                f' convert the array with .astype("{target.name}")'
            )
    elif isinstance(value, float):
        raise DtypeError(
            f"{operation}: dtypes do not mix: {dtype.name} and the float {value!r}:"
            ' convert the array with .astype("f32")'
        )
    else:
        low, high = _RANGES[dtype]
        if not low <= value <= high:
            raise DtypeError(
                f"{operation}: the integer does not fit {dtype.name}: {value}, it holds {low} to {high}"
            )
    return value & 0xFFFFFFFF


def number_of_word(word: int, dtype: Dtype) -> Scalar:
    """The number of which `scalar_word` made `word` for an array of `dtype`."""
    if type(word) is not int:  # Of fusion: a number already.
        return word
    if dtype.kind == "f":
        number: float = _F32_BYTES.unpack(_WORD.pack(word))[0]
        return number
    if dtype is BOOL:
        return bool(word)
    return word - (1 << 32) if dtype.kind == "i" and word >> 31 else word
