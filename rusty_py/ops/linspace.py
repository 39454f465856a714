"""`linspace`: evenly spaced numbers, computed on the device."""

from __future__ import annotations

from functools import cache
from math import isfinite

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, Dtype, DtypeLike, f32_word
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Operation, apply, public
from rusty_py.ops.grid import THREADS, groups_of_items
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.views import integer_of


@public
def linspace(
    start: float,
    stop: float,
    /,
    num: int,
    *,
    dtype: DtypeLike | None = None,
    device: Device | None = None,
    endpoint: bool = True,
) -> Array:
    """`num` evenly spaced numbers from `start` to `stop`, which is the last unless `endpoint` is False.

    float32, or float16. `start` and, as an endpoint, `stop` are exact; what is between them has an error of
    1.5 ulp of the larger of both. Raises ShapeError for a negative `num`; DtypeError for other dtypes and for
    numbers that do not fit.
    """
    kind = F32 if dtype is None else dtypes.element(dtype, operation="linspace")
    count, first, last = integer_of(num, "num", operation="linspace"), float(start), float(stop)
    if kind.kind != "f":
        raise DtypeError(f'linspace: not for {kind.name}: convert with .astype("{kind.name}")')
    if count < 0 or not (isfinite(first) and isfinite(last)):
        raise ShapeError(f"linspace: num is not negative, and all are finite: {(start, stop, num)}")
    intervals = count - 1 if endpoint else count
    step = (last - first) / intervals if intervals > 0 else 0.0
    for each in (first, last, step):
        dtypes.scalar_word(each, kind, operation="linspace")
    if not endpoint:
        last = first + step * max(count - 1, 0)
    words = tuple(map(f32_word, (first, last if count > 1 else first, step)))
    return apply(LINSPACE, words=words, device=device, size=count, dtype=kind)


def _forward(start: int, stop: int, step: int, *, device: Device, size: int, dtype: Dtype) -> Array:
    out = allocate(device, (size,), dtype, operation="linspace")
    if size:
        launch(
            device,
            _spec(dtype),
            outputs=[out.buffer],
            uniforms=(size, start, stop, step, (size + 1) // 2),
            workgroups=groups_of_items(device, size, operation="linspace"),
            flops=size,
        )
    return out


@cache
def _spec(kind: Dtype) -> Spec:
    text = f"alias elem = {kind.wgsl};\n"
    return Spec("creation/linspace", 0, 1, THREADS, definitions=text, variant=kind.name)


LINSPACE = OPERATIONS.add(Operation("linspace", _forward, gradient="its operands are numbers"))


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    return [_spec(F32), _spec(F16)]
