"""Reductions by the kernels that only large arrays take, launched alone, and in several passes."""

from collections.abc import Callable, Iterator

import numpy as np

from rusty_py import Device
from rusty_py.dtypes import ELEMENTS, Dtype
from rusty_py.ops.reduce.box import Box, Place, rows_box
from rusty_py.ops.reduce.kernels import Form, Stage
from rusty_py.ops.reduce.launches import launch_pass
from rusty_py.ops.reduce.operations import covering, partial_stages
from rusty_py.ops.reduce.passes import Pass, depth
from rusty_py.ops.reduce.reduction import REDUCTIONS, Reduction
from rusty_py.oracle import Expected
from rusty_py.runtime.buffer import Buffer

Made = tuple[str, Callable[..., np.ndarray], Callable[[], Expected]]


def reductions() -> Iterator[Made]:
    """Works by name: what computes them, and what must come of them."""
    for stage, form in covering():
        if form.kernel != "threads" and stage.body is not None:
            kind = ELEMENTS[stage.body.name]
            if stage.result == REDUCTIONS[stage.name].result(kind).wgsl:
                yield _in_form(stage, form, REDUCTIONS[stage.name], kind)
    for name, kind in (("sum", "f16"), ("argmax", "f32"), ("var", "f16"), ("logsumexp", "f32")):
        yield _in_passes(REDUCTIONS[name], name, kind)


# In three outer and two reduced axes, the second of which a view leaves every other element of.
_APART = Box((2, 1, 3), (5, 9), 1, (Place(1, (270, 270, 90), (18, 2), 0),))


def _in_form(stage: Stage, form: Form, row: Reduction, kind: Dtype) -> Made:
    """Rows that begin off a multiple of four, or columns."""
    if form.kernel == "rows":
        box = _APART if form.outer_axes == 3 else Box((5,), (1301,), 1, (Place(3, (1301,), (1,), 0),))
    else:
        box = Box((2,), (70,), 44, (Place(0, (70 * 44,), (44,), 1),))
        if form.outer_axes == 3:
            box = Box((2, 1, 1), (7, 10), 45, (Place(0, (70 * 45, 0, 0), (450, 45), 1),))
    size = 1 + max(_places(box).max(), 3)
    (x,) = row.operands(kind, 1, 1, int(size), seed=7)
    seen = x[0][_places(box)]

    def compute(device: Device, _: object) -> np.ndarray:
        each = Pass(form.kernel, 1, box.n, form.threads, form.across, form.vec4)
        number = _number(row, box.n)
        out = _launched(device, stage, form, box, each, device.upload(x), number)
        return _read(device, out, seen.shape[0] * seen.shape[2], row.result(kind))

    def expected() -> Expected:
        return _expected(row, seen)

    return f"{stage}, {form.kernel} {form}", compute, expected


def _in_passes(row: Reduction, name: str, kind: str) -> Made:
    """Rows in chunks, whose results a second pass reduces in chunks, and a third to one."""
    dtype = ELEMENTS[kind]
    (x,) = row.operands(dtype, 1, 3, 200, seed=11)
    passes = ((200, 64), (4, 2), (2, 2))

    def compute(device: Device, _: object) -> np.ndarray:
        buffer = device.upload(x)
        form = Form("rows", ("scalar",), across=64)
        for stage, (n, chunk) in zip(partial_stages(row, dtype), passes, strict=True):
            each = Pass("rows", -(-n // chunk), chunk, across=64)
            buffer = _launched(device, stage, form, rows_box(3, n, 1), each, buffer, _number(row, 200))
        return _read(device, buffer, 3, row.result(dtype))

    return f"{name} {kind} in three passes", compute, lambda: _expected(row, x[:, :, None])


def _places(box: Box) -> np.ndarray:
    """Where the elements are, as (outer, reduced, inner)."""
    (place,) = box.places
    axes = (*box.outer, *box.reduced, box.inner)
    index = np.indices(axes).reshape(len(axes), -1)
    strides = np.array([*place.outer, *place.reduced, place.inner])
    return (place.start + strides @ index).reshape(box.rows, box.n, box.inner)


def _launched(
    device: Device, stage: Stage, form: Form, box: Box, each: Pass, x: Buffer, number: int
) -> Buffer:
    size = stage.monoid.nbytes(stage.computed) if not stage.result else 2 if stage.result == "f16" else 4
    out = device.empty(-(-box.rows * each.width * box.inner * size // 4) * 4)
    launch_pass(device, stage, form, box, each, [x], out, number=number)
    return out


def _number(row: Reduction, count: int) -> int:
    return int(np.float32(row.number(count) if row.number else 0).view(np.uint32))


def _read(device: Device, out: Buffer, count: int, kind: Dtype) -> np.ndarray:
    words = np.empty(out.nbytes // 4, np.uint32)
    device.read(out, words)
    return words.view(kind.stored)[:count].astype(kind.numpy)


def _expected(row: Reduction, x: np.ndarray) -> Expected:
    """Of (outer, reduced, inner)."""
    kind = next(each for each in ELEMENTS.values() if each.numpy == x.dtype)
    if row.bound is None:
        return Expected(row.numpy(x, axis=1).astype(row.result(kind).numpy).ravel(), None)
    reference, bound = row.bound(x, axis=1, depth=depth(x.shape[1]), dtype=kind)
    return Expected(reference.ravel(), bound.ravel())
