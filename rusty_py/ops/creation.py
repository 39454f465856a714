"""Arrays from values, and arrays whose values are a formula: filled on the device, not sent to it."""

from collections.abc import Sequence
from functools import cache, lru_cache
from math import ceil, isfinite

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate, upload
from rusty_py.dtypes import F16, F32, I32, U32, Dtype, DtypeLike, Scalar
from rusty_py.errors import DeviceError, DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Operation, apply, public
from rusty_py.ops.fuser import fuser_of
from rusty_py.ops.generator import Body
from rusty_py.ops.grid import THREADS, groups_of_items
from rusty_py.runtime.buffer import BINDING_BYTES, Buffer, BufferBinding
from rusty_py.runtime.device import Device, default_device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape, View, integer_of, shape_of

FILL = Spec("creation/fill", 0, 1, THREADS)

_AT = {
    F32: "fma(f32(i), bitcast<f32>(step), bitcast<f32>(start))",
    F16: "f16(fma(f32(i), bitcast<f32>(step), bitcast<f32>(start)))",
    I32: "bitcast<i32>(start + i * step)",
    U32: "start + i * step",
}


def array(values: object, /, dtype: DtypeLike | None = None, *, device: Device | None = None) -> Array:
    """A new array of `values`: numbers, lists of them, NumPy arrays or arrays.

    Without `dtype`, Python's numbers become float32, int32 or bool, and arrays keep their dtype.
    Raises DtypeError where that would lose digits, ShapeError, DeviceError, LimitError, OutOfMemory.
    """
    return asarray(values, dtype=dtype, device=device, copy=True)


def asarray(
    values: object,
    /,
    dtype: DtypeLike | None = None,
    *,
    device: Device | None = None,
    copy: bool | None = None,
) -> Array:
    """`values` as an array; one that is an array already, of that dtype and device, comes back itself.

    copy=True copies that, too; copy=False raises ValueError where a copy is needed. Otherwise as `array`.
    """
    if not isinstance(values, Array):
        if copy is False:
            raise ValueError("asarray: values come to a device by a copy: leave copy=False out")
        host, kind = dtypes.host_values(values, dtype, operation="asarray")
        return upload(host, kind, device or default_device())
    kind = values.kind if dtype is None else dtypes.element(dtype, operation="asarray")
    if device not in (None, values.device):
        raise DeviceError(f"asarray: an array of another device: {values.device}: send .numpy()")
    if copy is False and kind is not values.kind:
        raise ValueError(f"asarray: {values.kind.name} becomes {kind.name} by a copy: leave copy=False out")
    return values.astype(kind, copy=bool(copy))


def full(
    shape: int | Sequence[int],
    fill_value: Scalar,
    dtype: DtypeLike | None = None,
    *,
    device: Device | None = None,
) -> Array:
    """An array with `fill_value` everywhere. Raises DtypeError where it does not fit `dtype`, ShapeError."""
    value = fill_value
    if not isinstance(value, bool | int | float):
        _, strong = dtypes.host_values(value, dtype, operation="full")
        if np.size(value) != 1:
            raise ShapeError(f"full: fills with one number: got {np.size(value)}")
        value, dtype = np.asarray(value).item(), strong if dtype is None else dtype
    kind = _of_number(value) if dtype is None else dtypes.element(dtype, operation="full")
    return _filled(shape_of(shape, operation="full"), value, kind, device, operation="full")


def zeros(
    shape: int | Sequence[int], dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """An array of zeros, float32 where `dtype` is not said."""
    kind = F32 if dtype is None else dtypes.element(dtype, operation="zeros")
    return _filled(shape_of(shape, operation="zeros"), 0, kind, device, operation="zeros")


def ones(
    shape: int | Sequence[int], dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """An array of ones, float32 where `dtype` is not said."""
    kind = F32 if dtype is None else dtypes.element(dtype, operation="ones")
    return _filled(shape_of(shape, operation="ones"), 1, kind, device, operation="ones")


def _filled(shape: Shape, value: Scalar, kind: Dtype, device: Device | None, *, operation: str) -> Array:
    # Zeros of either sign are equal.
    word = (_word_of if value or type(value) is int else _word_of.__wrapped__)(value, kind, operation)
    return apply(FULL, words=(word,), device=device, shape=shape, dtype=kind)


@lru_cache(256, typed=True)
def _word_of(value: Scalar, kind: Dtype, operation: str) -> int:
    """The word that an array of `value` is filled with. Raises DtypeError where it does not fit."""
    if kind is dtypes.BOOL and value in (0, 1):
        value = bool(value)
    word = dtypes.scalar_word(value, kind, operation=operation)
    return int(np.array([value, value], np.float16).view(np.uint32)[0]) if kind is F16 else word


def empty(
    shape: int | Sequence[int], dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """An array of undefined values, to be assigned to."""
    kind = F32 if dtype is None else dtypes.element(dtype, operation="empty")
    return allocate(device or default_device(), shape_of(shape, operation="empty"), kind, operation="empty")


@public
def full_like(
    x: Array | ArrayLike,
    /,
    fill_value: Scalar,
    dtype: DtypeLike | None = None,
    *,
    device: Device | None = None,
) -> Array:
    """`fill_value` everywhere, in the shape of `x`, and in its dtype and on its device unless said otherwise.

    Raises DtypeError where it does not fit the dtype.
    """
    like = asarray(x)
    kind = like.kind if dtype is None else dtype
    return full(like.shape, fill_value, dtype=kind, device=device or like.device)


@public
def zeros_like(
    x: Array | ArrayLike, /, dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """Zeros in the shape of `x`, and in its dtype and on its device unless said otherwise."""
    like = asarray(x)
    kind = like.kind if dtype is None else dtype
    return zeros(like.shape, dtype=kind, device=device or like.device)


@public
def ones_like(
    x: Array | ArrayLike, /, dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """Ones in the shape of `x`, and in its dtype and on its device unless said otherwise."""
    like = asarray(x)
    kind = like.kind if dtype is None else dtype
    return ones(like.shape, dtype=kind, device=device or like.device)


@public
def empty_like(
    x: Array | ArrayLike, /, dtype: DtypeLike | None = None, *, device: Device | None = None
) -> Array:
    """Undefined values in the shape of `x`, and in its dtype and on its device unless said otherwise."""
    like = asarray(x)
    kind = like.kind if dtype is None else dtype
    return empty(like.shape, dtype=kind, device=device or like.device)


def arange(
    start: int | float,
    /,
    stop: int | float | None = None,
    step: int | float = 1,
    dtype: DtypeLike | None = None,
    *,
    device: Device | None = None,
) -> Array:
    """The numbers from `start` up to `stop`, which is not among them; from 0 up to `start` alone.

    int32 for Python ints, else float32, each start + i * step within three roundings.
    Raises ShapeError for a step of 0, DtypeError where the numbers do not fit.
    """
    if stop is None:
        start, stop = 0, start
    kind = None if dtype is None else dtypes.element(dtype, operation="arange")
    # Others than numbers cannot be looked up; what is wrong with them is said there.
    known = {type(start), type(stop), type(step)} <= {int, float}
    kind, size, words = (_range_of if known else _range_of.__wrapped__)(start, stop, step, kind)
    return apply(ARANGE, words=words, device=device, size=size, dtype=kind)


@lru_cache(256, typed=True)
def _range_of(
    start: int | float, stop: int | float, step: int | float, kind: Dtype | None
) -> tuple[Dtype, int, tuple[int, int]]:
    """The dtype, the size and the words of `arange`. Raises as it does."""
    # NumPy's own numbers count as Python's.
    numbers = tuple(each.item() if isinstance(each, np.generic) else each for each in (start, stop, step))
    start, stop, step = numbers
    integers = all(isinstance(each, int) for each in numbers)
    if step == 0 or not (integers or all(isinstance(each, int) or isfinite(each) for each in numbers)):
        raise ShapeError(f"arange: the step is not zero, and all are finite: {numbers}")
    if kind is None:
        kind = I32 if integers else F32
    if kind not in _AT or (kind.kind != "f" and not integers):
        raise DtypeError(f"arange: not for {kind.name} from these numbers: {numbers}: say another dtype")
    try:
        size = max(0, int(ceil((stop - start) / step) if kind.kind == "f" else -((start - stop) // step)))
    except OverflowError:
        raise DtypeError(f"arange: the numbers are beyond all floats: {numbers}") from None
    for last in (start, start + max(0, size - 1) * step) if size else ():
        dtypes.scalar_word(last, kind, operation="arange")
    # f16 computes in f32; a step that is only taken once may be anything.
    bits = F32 if kind.kind == "f" else kind
    first = dtypes.scalar_word(start, bits, operation="arange") if size else 0
    return kind, size, (first, _step_word(step, bits) if size > 1 else 0)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DtypeLike | None = None,
    device: Device | None = None,
) -> Array:
    """Ones on the `k`-th diagonal above the main one, and zeros. Shape (n_rows, n_cols or n_rows)."""
    cols = n_rows if n_cols is None else n_cols
    n_rows, cols = shape_of((n_rows, cols), operation="eye")
    kind = F32 if dtype is None else dtypes.element(dtype, operation="eye")
    out = _filled((n_rows, cols), 0, kind, device, operation="eye")
    k = integer_of(k, "k", operation="eye")
    row, col = max(0, -k), max(0, k)
    length = min(n_rows - row, cols - col)
    if length > 0:
        diagonal = out.view(View(row * cols + col, (length,), (cols + 1,)))
        diagonal.assign(1 if out.kind is not dtypes.BOOL else True)
    return out


def _of_number(value: Scalar) -> Dtype:
    if isinstance(value, bool):
        return dtypes.BOOL
    return I32 if isinstance(value, int) else F32


def _step_word(step: int | float, kind: Dtype) -> int:
    """Downward steps of unsigned integers count modulo 2^32."""
    if isinstance(step, int) and kind is not F32:
        return step & 0xFFFFFFFF
    return dtypes.scalar_word(step, kind, operation="arange")


def _forward_full(word: int, *, device: Device, shape: Shape, dtype: Dtype) -> Array:
    """`word` is that of a number, or twice the half of one."""
    out = allocate(device, shape, dtype, operation="full")
    if (fuser := fuser_of(device)) is not None and fuser.defer(_constant(dtype), (word,), out, fresh=True):
        return out
    limit = device.limits.binding_bytes // BINDING_BYTES * BINDING_BYTES
    for start in range(0, out.nbytes, limit):
        # Whole vec4s: behind an array there is room for the last one.
        nbytes = ceil_div(min(limit, out.nbytes - start), 16) * 16
        part = out.buffer if out.buffer.nbytes <= limit else BufferBinding(out.buffer, start, nbytes)
        _launch(FILL, device, part, nbytes // 16, (word,))
    return out


def _constant(dtype: Dtype) -> Body:
    """A constant as a part of another kernel."""
    expression = "unpack2x16float(x).x" if dtype is F16 else "x"
    kind = "u32" if dtype is F16 else dtype.wgsl
    return Body(f"full {dtype.name}", (kind,), dtype.wgsl, f"{dtype.wgsl}({expression})")


def _forward_arange(start: int, step: int, *, device: Device, size: int, dtype: Dtype) -> Array:
    out = allocate(device, (size,), dtype, operation="arange")
    _launch(_arange_spec(dtype), device, out.buffer, size, (start, step))
    return out


FULL = OPERATIONS.add(Operation("full", _forward_full))
ARANGE = OPERATIONS.add(Operation("arange", _forward_arange))


def _launch(
    spec: Spec, device: Device, out: Buffer | BufferBinding, count: int, words: Sequence[int]
) -> None:
    if count:
        launch(
            device,
            spec,
            outputs=[out],
            uniforms=(count, *words),
            workgroups=groups_of_items(device, count, operation=spec.name),
            flops=count,
        )


@cache
def _arange_spec(kind: Dtype) -> Spec:
    at = f"fn at(i: u32, start: u32, step: u32) -> elem {{ return {_AT[kind]}; }}\n"
    text = f"alias elem = {kind.wgsl};\n{at}"
    return Spec("creation/arange", 0, 1, THREADS, definitions=text, variant=kind.name)


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    return [FILL, *map(_arange_spec, _AT)]
