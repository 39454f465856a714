"""The Array API's functions of dtypes, its dtypes and constants, and what it asks of a namespace."""

import builtins
from functools import reduce
from typing import Any

import numpy as np

from rusty_py import dtypes
from rusty_py.arrays import Array
from rusty_py.dtypes import ELEMENTS, F32, I32, Dtype, DtypeLike, Scalar
from rusty_py.errors import DtypeError
from rusty_py.operation import public
from rusty_py.ops.generator import MAX_AXES
from rusty_py.runtime.adapter import list_adapters
from rusty_py.runtime.device import Device

API_VERSION = "2025.12"
"""The version of the Array API standard whose names and semantics the functions have."""

float32, float16, int32, uint32, bool = np.float32, np.float16, np.int32, np.uint32, np.bool_
e, pi, inf, nan, newaxis = np.e, np.pi, np.inf, np.nan, None

Kind = str | DtypeLike | tuple["Kind", ...]

_LETTERS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "",
    "numeric": "iuf",
}


@public
def astype(
    x: Array, dtype: DtypeLike, /, *, copy: builtins.bool = True, device: Device | None = None
) -> Array:
    """As `Array.astype`; on another device, if one is given, by a copy through the host."""
    if device is not None and device is not x.device:
        x, copy = x.to_device(device), False
    return x.astype(dtype, copy=copy)


@public
def finfo(type: Array | DtypeLike, /) -> "np.finfo[Any]":
    """NumPy's `finfo` of a float dtype, or of an array's. Raises DtypeError for others."""
    kind = _kind(type, operation="finfo")
    if kind.kind != "f":
        raise DtypeError(f"finfo: not for {kind.name}: integers have an iinfo")
    return np.finfo(kind.numpy)


@public
def iinfo(type: Array | DtypeLike, /) -> "np.iinfo[Any]":
    """NumPy's `iinfo` of an integer dtype, or of an array's. Raises DtypeError for others."""
    kind = _kind(type, operation="iinfo")
    if kind.kind not in "iu":
        raise DtypeError(f"iinfo: not for {kind.name}: floats have a finfo")
    return np.iinfo(kind.numpy)


@public
def isdtype(dtype: DtypeLike, kind: Kind) -> builtins.bool:
    """Whether `dtype` is `kind`: a dtype, one of the standard's names of kinds, or any of a tuple of both.

    Raises DtypeError for what names neither.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    found = dtypes.element(dtype, operation="isdtype")
    if isinstance(kind, str) and kind in _LETTERS:
        return found.kind in _LETTERS[kind]
    return found is dtypes.element(kind, operation="isdtype")


@public
def result_type(*arrays_and_dtypes: Array | DtypeLike | Scalar) -> np.dtype[np.generic]:
    """The dtype of what is computed of arrays, dtypes and Python numbers. Raises DtypeError for none."""
    numbers = [each for each in arrays_and_dtypes if isinstance(each, builtins.bool | int | float)]
    kinds = [
        _kind(each, operation="result_type")
        for each in arrays_and_dtypes
        if not isinstance(each, builtins.bool | int | float)
    ]
    if not kinds:
        raise DtypeError("result_type: needs an array or a dtype")
    found = reduce(lambda a, b: dtypes.promoted(a, b, operation="result_type"), kinds)
    for each in numbers:
        dtypes.scalar_word(each, found, operation="result_type")
    return found.numpy


@public
def can_cast(from_: Array | DtypeLike, to: DtypeLike, /) -> builtins.bool:
    """Whether what is computed of both dtypes is of the dtype `to`."""
    source, target = (_kind(each, operation="can_cast") for each in (from_, to))
    try:
        return dtypes.promoted(source, target, operation="can_cast") is target
    except DtypeError:
        return False


def _kind(x: Array | DtypeLike, *, operation: str) -> Dtype:
    return x.kind if isinstance(x, Array) else dtypes.element(x, operation=operation)


class NamespaceInfo:
    """What the Array API's `__array_namespace_info__` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Optional features, and the number of axes that always works."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": MAX_AXES}

    def default_device(self) -> None:
        """None: the adapter is found when the first array needs it."""
        return

    def devices(self) -> list[str | None]:
        """The names of the adapters, for `Device`."""
        return [str(each) for each in list_adapters()]

    def default_dtypes(self, *, device: Device | str | None = None) -> dict[str, np.dtype[np.generic]]:
        """Those of Python's numbers, and of indices."""
        return {"real floating": F32.numpy, "integral": I32.numpy, "indexing": I32.numpy}

    def dtypes(
        self, *, device: Device | str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[np.generic]]:
        """The dtypes by NumPy's names, all or those of `kind`."""
        chosen = kind if kind is not None else ("bool", "numeric")
        return {each.numpy.name: each.numpy for each in ELEMENTS.values() if isdtype(each, chosen)}


def namespace_info() -> NamespaceInfo:
    """The package's `__array_namespace_info__`."""
    return NamespaceInfo()
